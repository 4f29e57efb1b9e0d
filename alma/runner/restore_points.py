"""What a stack can be put back to: the snapshots that runs have left, and which of them stay."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

from msgspec import Struct

from alma.core.events import RunCreated, RunKind, StepStarted
from alma.core.run import RunStatus, SagaState
from alma.errors import RunNotFoundError
from alma.journal import Journal
from alma.journal.reading import fold_events
from alma.pulumi.backend import is_same
from alma.pulumi.engine import StackRef
from alma.pulumi.snapshot_files import snapshots_of
from alma.pulumi.snapshots import Snapshots
from alma.steps.stack.places import backends_of

Moment = Literal["before", "after"]

JUST_NOW: Final = 600.0
"""Seconds in which a runner has surely journaled a snapshot that it has written."""


class RestorePoint(Struct, frozen=True, kw_only=True):
    """What the stack was `before` or `after` a run: `held` resources, seen at `at`."""

    run: str
    kind: RunKind
    state: SagaState
    moment: Moment
    at: datetime
    held: int
    snapshot: str


class StackRun(Struct, frozen=True, kw_only=True):
    """One run over the stack. `left` is the fingerprint of what it left; empty if unknown."""

    run: RunStatus
    started: StepStarted | None
    at: datetime | None
    left: str


def runs_over(journal: Journal, target: str, ref: StackRef, backend: str) -> tuple[StackRun, ...]:
    """The runs of this target over this stack in this backend, oldest first."""
    found = []
    for row in reversed(journal.runs(limit=None, target=target)):
        recorded = journal.events(row.run)
        run = fold_events(journal, recorded)
        there = backends_of(run, journal.path)
        for step in run.steps.values():
            if step.definition.project != ref.project or not (step.started or step.operations):
                continue
            if not is_same(there[step.name], backend):
                continue
            at = next((one.at for one in recorded if one.event is step.started), None)
            found.append(StackRun(run=run, started=step.started, at=at, left=step.fingerprint))
    return tuple(found)


def restore_points(known: Sequence[StackRun], snapshots: Snapshots) -> tuple[RestorePoint, ...]:
    """All that can be put back, newest first.

    What a stack was before a run is that run's own snapshot. What it was after a run is the
    snapshot of the next one, if that one found just what the run had left.
    """
    kept = snapshots.place.digests()
    found = []
    for index, run_over in enumerate(known):
        if _has(run_over, kept):
            found.append(_restore_point(run_over, run_over, "before"))
        after = known[index + 1] if index + 1 < len(known) else None
        if after is not None and _has(after, kept) and _went_on(run_over, after):
            found.append(_restore_point(run_over, after, "after"))
    return tuple(reversed(found))


def find_restore_point(
    known: Sequence[StackRun], snapshots: Snapshots, run: str, moment: Moment, label: str
) -> RestorePoint:
    """The one of this run and moment; `RunNotFoundError` says why there is none, and which are."""
    found = restore_points(known, snapshots)
    for one in found:
        if (one.run, one.moment) == (run, moment):
            return one
    others = ", ".join(f"{one.moment} {one.run}" for one in found[:5])
    raise RunNotFoundError(
        f"There is no snapshot of {label} {moment} run {run}: {_why(known, run, moment)}.",
        hint=f"It can be put back to how it was {others}." if others else "No run has left one.",
    )


def made_by(known: Sequence[StackRun], point: RestorePoint) -> str:
    """The Python that has made what is put back then; empty where that is not known."""
    made = ""
    for one in known:
        if one.run.run == point.run and point.moment == "before":
            break
        if one.run.kind == "up" and one.run.python:
            made = one.run.python
        if one.run.run == point.run:
            break
    return made


def _restore_point(run_over: StackRun, seen: StackRun, moment: Moment) -> RestorePoint:
    started, at = seen.started, seen.at
    assert started is not None and at is not None  # noqa: S101, PT018 - `_has` has looked
    return RestorePoint(
        run=run_over.run.run,
        kind=run_over.run.kind,
        state=run_over.run.state,
        moment=moment,
        at=at,
        held=started.held,
        snapshot=started.snapshot,
    )


def _has(run_over: StackRun, kept: set[str]) -> bool:
    return run_over.started is not None and run_over.started.snapshot in kept


def _went_on(run_over: StackRun, after: StackRun) -> bool:
    started = after.started
    return started is not None and bool(run_over.left) and run_over.left == started.fingerprint


def _why(known: Sequence[StackRun], run: str, moment: Moment) -> str:
    index = next((place for place, one in enumerate(known) if one.run.run == run), None)
    if index is None:
        return "that run did nothing to this stack"
    run_over = known[index]
    if moment == "before":
        if run_over.started is None:
            return f"a {run_over.run.kind} takes none"
        return "it held nothing then" if not run_over.started.held else "its file is gone"
    if index + 1 == len(known):
        return "no run came after it, and what a run leaves is kept by the next one"
    after = known[index + 1]
    if after.started is not None and after.started.held and not _went_on(run_over, after):
        return f"run {after.run.run} came next, and found something else than it had left"
    return f"run {after.run.run} came next, and has left none"


def prune(journal: Journal, *, keep: int = 20) -> tuple[str, ...]:
    """Remove the snapshots that no run needs any more; where each was.

    A run that is not over needs its own, and so does a FAILED one, which can still be rolled
    back; of the others the newest `keep` runs keep theirs. One that was written just now may
    not be in the journal yet, so it stays.
    """
    needed: set[str] = set()
    for place, row in enumerate(journal.runs(limit=None)):
        recorded = journal.events(row.run)
        state = fold_events(journal, recorded).state
        if place < keep or state not in (SagaState.COMPLETED, SagaState.COMPENSATED):
            happened = (entry.event for entry in recorded)
            needed.update(
                event.snapshot for event in happened if isinstance(event, RunCreated | StepStarted)
            )
    kept_in = snapshots_of(journal.path, journal.snapshots).place
    unneeded = sorted(kept_in.digests(older=JUST_NOW) - needed)
    return tuple(kept_in.remove(digest) for digest in unneeded)
