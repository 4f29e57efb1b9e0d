"""What is wrong here, and the mend: each kind of step, the journal, its runs. Touches nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from msgspec.structs import replace

from alma.core.run import RunStatus, SagaState
from alma.errors import AlmaError, ToolError, UntrustedJournalError
from alma.journal import kept_beside, open_journal
from alma.journal.address import DEFAULT, Address, may_be_there
from alma.journal.reading import RunView, view_run
from alma.runner.hosts import machines_unseen
from alma.steps.base import Check, DoctorOptions
from alma.steps.registry import KINDS, UnknownKindError, find_kind
from alma.system.processes import find, may_live, require_shown

__all__ = ["Check", "examine"]


async def examine(
    journal: Address,
    *,
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
    remote: bool = False,
) -> tuple[Check, ...]:
    """Look at everything that a run needs, in the order in which it needs it.

    What is on other machines, and named by the journal alone, is asked with `remote`.
    """
    try:
        require_shown()
    except ToolError as error:
        return (Check(name="processes", level="fail", message=error.message, mend=error.hint),)
    last: list[RunView] = []
    found = list(_journal(journal, last))
    for seen in last:
        found += _run(seen)
        if not seen.driven:
            found += _doubts(seen.run)
    asked = DoctorOptions(
        environ=os.environ if environ is None else environ,
        cwd=(cwd or Path.cwd()).absolute(),
        journal=_kept_beside(journal),
        runs=tuple(seen.run for seen in last if not seen.driven),
        remote=remote,
    )
    return (*await _kinds(asked), *found)


async def _kinds(asked: DoctorOptions) -> list[Check]:
    """What each kind says: alma's own, and those that the journal knows of."""
    runs = asked.runs
    used = {name: [run for run in runs if _has(run, name)] for name in KINDS}
    for run in runs:
        for step in run.definition.steps:
            used.setdefault(step.kind, [one for one in runs if _has(one, step.kind)])
    checks: list[Check] = []
    for name, own in used.items():
        try:
            kind = find_kind(name)
        except UnknownKindError as error:
            mend = "Its steps are undone with --target FILE"
            checks.append(Check(name="kind", level="warn", message=str(error), mend=mend))
            continue
        checks += await kind.doctor(replace(asked, runs=tuple(own)))
    return checks


def _has(run: RunStatus, kind: str) -> bool:
    return any(step.kind == kind for step in run.definition.steps)


def _journal(path: Address, last: list[RunView]) -> Iterator[Check]:
    """The journal. `last` becomes the last run of each target: none before can be unfinished."""
    if not may_be_there(path):
        yield Check(name="journal", level="ok", message=f"{path} (made by the first run)")
        return
    try:
        with open_journal(path, write=False) as journal:
            verdict = journal.verify()
            if verdict.first_break is not None:
                message = f"{path} is not what was written: {verdict.first_break}"
                mend = "Copy it away, and compare it with a backup."
                yield Check(name="journal", level="fail", message=message, mend=mend)
                return
            message = f"{path}: the chain is whole (events: {verdict.events}, runs: {verdict.runs})"
            yield Check(name="journal", level="ok", message=message)
            journal.act()
            newest: dict[str, str] = {}
            for row in journal.runs(limit=None):
                newest.setdefault(row.target, row.run)
            last += [view_run(journal, run) for run in newest.values()]
    except UntrustedJournalError as error:
        yield Check(name="journal", level="warn", message=error.message, mend=error.hint)
    except AlmaError as error:
        yield Check(name="journal", level="fail", message=error.message, mend=error.hint)


def _kept_beside(journal: Address) -> Path:
    """Of one that cannot be reached, which was said already, nothing is known here."""
    with suppress(AlmaError):
        return kept_beside(journal)
    return DEFAULT


def _run(found: RunView) -> Iterator[Check]:
    run = found.run
    name = f"run {run.run} of {run.definition.target}"
    if found.interrupted:
        mend = f"`alma-pulumi resume {run.word}`, or `alma-pulumi rollback {run.word}`"
        message = f"{name} is {run.state.name} (interrupted)"
        yield Check(name="run", level="warn", message=message, mend=mend)
    elif found.runner is not None:
        process = found.runner.process
        message = f"{name} is running now, pid {process.pid} on {process.machine}"
        if may_live(process):
            yield Check(name="lease", level="ok", message=message)
        else:
            mend = "Find who holds the lease's file: fuser -v .alma/leases/*"
            message = f"{name}: its runner is dead, and another process still holds its lease"
            yield Check(name="lease", level="warn", message=message, mend=mend)
    elif run.state is SagaState.FAILED:
        message = f"{name} is FAILED, with {len(run.leftovers)} leftovers"
        mend = f"`alma-pulumi status {run.word}` names them"
        yield Check(name="run", level="warn", message=message, mend=mend)


def _doubts(run: RunStatus) -> Iterator[Check]:
    """Operations without an outcome, and what still works for them."""
    for step in run.steps.values():
        if step.open is not None and not run.state.is_final:
            alive = [process for process in step.open.processes if find(process) is not None]
            pids = ", ".join(f"pid {process.pid}" for process in alive)
            message = f'step "{step.name}": its {step.open.kind} is in doubt; '
            mend = "resume or rollback waits for it and finds out"
            if alive:
                message += f"{pids} is still at work"
            elif where := machines_unseen(run):
                message += f"what is at work on {where} is not seen from here"
                mend = f"resume or rollback there; if {where} is gone, with --host-is-gone"
            else:
                message += "nothing is at work any more"
            yield Check(name="doubt", level="warn", message=message, mend=mend)
