"""What a stack can be put back to: the snapshots that earlier runs have left. Writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from alma.core.events import RunKind, StepStarted
from alma.core.run import RunStatus, SagaState
from alma.core.struct import Frozen
from alma.errors import RunNotFoundError
from alma.journal.journal import Journal
from alma.journal.reading import folded
from alma.pulumi.engine import StackRef
from alma.pulumi.snapshots import Snapshots

Moment = Literal["before", "after"]


class RestorePoint(Frozen):
    """What the stack was `before` or `after` a run: `held` resources, seen at `at`."""

    run: str
    kind: RunKind
    state: SagaState
    moment: Moment
    at: datetime
    held: int
    snapshot: str


class StackRun(Frozen):
    """One run over the stack. `left` is the fingerprint of what it left; empty if unknown."""

    run: RunStatus
    started: StepStarted | None
    at: datetime | None
    left: str


def passages(journal: Journal, target: str, ref: StackRef, backend: str) -> tuple[StackRun, ...]:
    """The runs of this target over this stack, oldest first."""
    found = []
    for row in reversed(journal.runs(limit=None, target=target)):
        recorded = journal.events(row.run)
        run = folded(journal, recorded)
        if run.backend != backend:
            continue
        for step in run.steps.values():
            if step.definition.project != ref.project or not (step.started or step.tries):
                continue
            at = next((one.at for one in recorded if one.event is step.started), None)
            found.append(StackRun(run=run, started=step.started, at=at, left=step.fingerprint))
    return tuple(found)


def candidates(known: Sequence[StackRun], snapshots: Snapshots) -> tuple[RestorePoint, ...]:
    """All that can be put back, newest first.

    What a stack was before a run is that run's own snapshot. What it was after a run is the
    snapshot of the next one, if that one found just what the run had left.
    """
    kept = snapshots.digests()
    found = []
    for index, passage in enumerate(known):
        if _has(passage, kept):
            found.append(_candidate(passage, passage, "before"))
        after = known[index + 1] if index + 1 < len(known) else None
        if after is not None and _has(after, kept) and _went_on(passage, after):
            found.append(_candidate(passage, after, "after"))
    return tuple(reversed(found))


def choose(
    known: Sequence[StackRun], snapshots: Snapshots, run: str, moment: Moment, label: str
) -> RestorePoint:
    """The one of this run and moment; `RunNotFoundError` says why there is none, and which are."""
    found = candidates(known, snapshots)
    for one in found:
        if (one.run, one.moment) == (run, moment):
            return one
    others = ", ".join(f"{one.moment} {one.run}" for one in found[:5])
    raise RunNotFoundError(
        f"There is no snapshot of {label} {moment} run {run}: {_why(known, run, moment)}.",
        hint=f"It can be put back to how it was {others}." if others else "No run has left one.",
    )


def _candidate(passage: StackRun, seen: StackRun, moment: Moment) -> RestorePoint:
    started, at = seen.started, seen.at
    assert started is not None and at is not None  # noqa: S101, PT018 - `_has` has looked
    return RestorePoint(
        run=passage.run.run,
        kind=passage.run.kind,
        state=passage.run.state,
        moment=moment,
        at=at,
        held=started.held,
        snapshot=started.snapshot,
    )


def _has(passage: StackRun, kept: set[str]) -> bool:
    return passage.started is not None and passage.started.snapshot in kept


def _went_on(passage: StackRun, after: StackRun) -> bool:
    started = after.started
    return started is not None and bool(passage.left) and passage.left == started.fingerprint


def _why(known: Sequence[StackRun], run: str, moment: Moment) -> str:
    index = next((place for place, one in enumerate(known) if one.run.run == run), None)
    if index is None:
        return "that run did nothing to this stack"
    passage = known[index]
    if moment == "before":
        if passage.started is None:
            return f"a {passage.run.kind} takes none"
        return "it held nothing then" if not passage.started.held else "its file is gone"
    if index + 1 == len(known):
        return "no run came after it, and what a run leaves is kept by the next one"
    after = known[index + 1]
    if after.started is not None and after.started.held and not _went_on(passage, after):
        return f"run {after.run.run} came next, and found something else than it had left"
    return f"run {after.run.run} came next, and has left none"
