"""What `doctor` says of the journal and of its runs. Touches nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from alma.core.run import RunStatus, SagaState, StepStatus
from alma.errors import AlmaError
from alma.journal.journal import Journal
from alma.journal.lease import may_live
from alma.journal.reading import RunView, view
from alma.pulumi import checkpoint
from alma.pulumi.engine import StackRef
from alma.steps.stack.localstack import localstack_problem
from alma.system.processes import find

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was looked at. `mend` says what to do, empty when all is well."""

    name: str
    level: Level
    message: str
    mend: str = ""


def check_journal(path: Path, root: Path | None) -> Iterator[Check]:
    """The journal and its runs; `root` is the file backend's directory, if it is one."""
    if not os.path.lexists(path):
        yield Check(name="journal", level="ok", message=f"{path} (made by the first run)")
        return
    try:
        with Journal.open(path, write=False) as journal:
            verdict = journal.verify()
            if verdict.first_break is not None:
                message = f"{path} is not what was written: {verdict.first_break}"
                mend = "Copy it away, and compare it with a backup."
                yield Check(name="journal", level="fail", message=message, mend=mend)
                return
            message = f"{path}: the chain is whole (events: {verdict.events}, runs: {verdict.runs})"
            yield Check(name="journal", level="ok", message=message)
            yield from _runs(journal, root)
    except AlmaError as error:
        yield Check(name="journal", level="fail", message=error.message, mend=error.hint)


def _runs(journal: Journal, root: Path | None) -> Iterator[Check]:
    """The last run of each target: none before it can be unfinished."""
    seen: set[str] = set()
    for row in journal.runs(limit=None):
        if row.target in seen:
            continue
        seen.add(row.target)
        found = view(journal, row.run)
        yield from _run(found, row.target)
        if found.interrupted or found.run.state is SagaState.FAILED:
            yield from _target(found.run, row.target)
        if found.runner is None:
            yield from _doubts(found.run, root)


def _run(found: RunView, target: str) -> Iterator[Check]:
    run = found.run
    name = f"run {run.run} of {target}"
    if found.interrupted:
        mend = f"`alma-pulumi resume {run.run}`, or `alma-pulumi rollback {run.run}`"
        message = f"{name} is {run.state.name} (interrupted)"
        yield Check(name="run", level="warn", message=message, mend=mend)
    elif found.runner is not None:
        process = found.runner.process
        message = f"{name} is running now, pid {process.pid} on {process.host}"
        if may_live(process):
            yield Check(name="lease", level="ok", message=message)
        else:
            mend = "Find who holds the lease's file: fuser -v .alma/leases/*"
            message = f"{name}: its runner is dead, and another process still holds its lease"
            yield Check(name="lease", level="warn", message=message, mend=mend)
    elif run.state is SagaState.FAILED:
        message = f"{name} is FAILED, with {len(run.leftovers)} leftovers"
        mend = f"`alma-pulumi status {run.run}` names them"
        yield Check(name="run", level="warn", message=message, mend=mend)


def _target(run: RunStatus, target: str) -> Iterator[Check]:
    """The LocalStack that a run needs to be gone on with or undone."""
    localstack = run.plan.aws
    if localstack is None:
        return
    message = f"LocalStack at {localstack.url}, where AWS steps of {target} went,"
    if why := localstack_problem(localstack):
        mend = "Start it: localstack start -d"
        yield Check(name="localstack", level="warn", message=f"{message} {why}", mend=mend)
    else:
        yield Check(name="localstack", level="ok", message=f"{message} answers")


def _doubts(run: RunStatus, root: Path | None) -> Iterator[Check]:
    """Operations without an outcome, what still works for them, and creates that were cut off."""
    for step in run.steps.values():
        if step.open is not None and not run.state.is_final:
            alive = [process for process in step.open.processes if find(process) is not None]
            pids = ", ".join(f"pid {process.pid}" for process in alive)
            message = f'step "{step.name}": its {step.open.kind} is in doubt; '
            message += f"{pids} is still at work" if alive else "nothing is at work any more"
            mend = "resume or rollback waits for it and finds out"
            yield Check(name="doubt", level="warn", message=message, mend=mend)
        if step.started is not None and step.definition.project and root is not None:
            yield from _pending(run, step, root)


def _pending(run: RunStatus, step: StepStatus, root: Path) -> Iterator[Check]:
    ref = StackRef(project=step.definition.project, stack=run.plan.stack)
    try:
        pending = checkpoint.read(root, ref).pending
    except (AlmaError, checkpoint.NeedsCli):
        return  # The stack's own reader will say so, where somebody needs it.
    for operation in pending:
        message = f"stack {ref.project}/{ref.stack}: {operation.name} was cut off "
        message += f"while {operation.kind}: {operation.urn}"
        mend = f'Give step "{step.name}" a resolver, or look at the provider'
        yield Check(name="pending", level="warn", message=message, mend=mend)
