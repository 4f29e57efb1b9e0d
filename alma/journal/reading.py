"""Runs as they stand in the journal: their state, who drives them, what became of what they left.

Writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct

from alma.core.definition import check_names
from alma.core.events import DOUBTFUL, Leftover, Recorded
from alma.core.run import RunStatus, SagaState
from alma.core.state import fold
from alma.core.transitions import IllegalTransitionError
from alma.errors import BrokenJournalError, DefinitionError
from alma.journal import Journal
from alma.journal.lease import Holder

PROOFS: Final = frozenset({"destroyed", "nothing", "called"})
"""How a later run's undo ends that leaves nothing of its step."""


class RunView(Struct, frozen=True, kw_only=True):
    """A run, and the live runner that drives it; None when no process holds its lease."""

    run: RunStatus
    runner: Holder | None
    shared: bool = False
    """See `Journal.is_shared`."""

    @property
    def driven(self) -> bool:
        """Whether somebody is at work on it: a runner, or a workflow, which holds no lock."""
        return self.runner is not None or self.run.served is not None

    @property
    def interrupted(self) -> bool:
        """Not over, and nobody is at work on it."""
        return not self.run.state.is_final and not self.driven

    @property
    def state(self) -> str:
        """The state in words for people."""
        return f"{self.run.state.name} (interrupted)" if self.interrupted else self.run.state.name


def load_run(journal: Journal, run_id: str) -> RunStatus:
    """A run as its events make it; JournalError where they make none, or one listed elsewhere.

    RunNotFoundError where there is none.
    """
    listed = journal.run(run_id).target
    run = fold_events(journal, journal.events(run_id))
    if listed != run.definition.target:
        raise BrokenJournalError(
            f"The journal {journal.name} cannot be trusted: run {run_id} is of "
            f"{run.definition.target}, and listed as one of {listed}.",
            hint="alma-pulumi verify names the first break.",
        )
    return run


def newest_run(journal: Journal, target: str) -> RunStatus | None:
    """The last run of a target; None where it never ran."""
    return next((load_run(journal, row.run) for row in journal.runs(limit=1, target=target)), None)


def is_driven(journal: Journal, target: str) -> bool:
    """Whether somebody is at work on it: who holds the lease, or a workflow."""
    if journal.is_held(target):
        return True
    last = newest_run(journal, target)
    return last is not None and last.served is not None


def fold_events(journal: Journal, events: Iterable[Recorded]) -> RunStatus:
    """The state that events of one run make; JournalError where they make none."""
    try:
        run = fold(events)
        check_names(run.definition)
    except (
        AttributeError,
        DefinitionError,
        IllegalTransitionError,
        LookupError,
        OverflowError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise BrokenJournalError(
            f"The journal {journal.name} cannot be trusted: {error}.",
            hint="alma-pulumi verify names the first break.",
        ) from error
    return run


def view_run(journal: Journal, run_id: str) -> RunView:
    """One run, its events and its lease seen at one moment.

    A runner writes its last event, then lets go of the lease: seen in the other order, a run
    that just ended would look interrupted. So it is read again when the lease was let go.
    """
    target = journal.run(run_id).target
    while True:
        held = journal.is_held(target)
        run = load_run(journal, run_id)
        if run.state.is_final:
            return RunView(run=run, runner=None, shared=journal.is_shared)
        if held == journal.is_held(target):
            break
    holder = journal.holder(target) if held else None
    driver = holder if holder and holder.run == run_id else None
    return RunView(run=run, runner=driver, shared=journal.is_shared)


def proven_gone(journal: Journal, run: RunStatus) -> dict[Leftover, str]:
    """The leftovers that are gone, each with the id of the later run that has seen it.

    Proof is a verified undo of the same stack (or, for an action, of the same step) by a later
    run of the same target. What a state cannot show is never proven by one: a resource that
    outlives its destroy by its own option, or a create whose provider was lost.
    """
    open_ = [left for left in run.leftovers if not _beyond_the_state(run, left)]
    gone: dict[Leftover, str] = {}
    if not open_:
        return gone
    position = journal.run(run.run).position
    for row in reversed(journal.runs(limit=None, target=run.definition.target)):
        if row.position <= position or len(gone) == len(open_):
            continue
        later = load_run(journal, row.run)
        proven = {_place(later, step.name) for step in later.steps.values() if step.how in PROOFS}
        for left in open_:
            if left not in gone and (left.stack or left.step) in proven:
                gone[left] = later.run
    return gone


def _place(run: RunStatus, name: str) -> str:
    project = run.definition.step(name).project
    return f"{project}/{run.definition.stack}" if project else name


def _beyond_the_state(run: RunStatus, left: Leftover) -> bool:
    step = run.steps.get(left.step)
    if step is None:
        return True
    lost = any(change.op in DOUBTFUL and change.urn == left.urn for change in step.resources)
    return lost or any(kept.urn == left.urn for kept in step.keeps)


def runs_of(journal: Journal, target: str) -> Iterator[RunStatus]:
    """The runs of a target, newest first, back to the last that has taken all of it down."""
    for row in journal.runs(limit=None, target=target):
        run = load_run(journal, row.run)
        yield run
        if is_the_end(run):
            return


def is_the_end(run: RunStatus) -> bool:
    """Whether nothing of its target is there after it."""
    return run.kind == "destroy" and run.state is SagaState.COMPLETED and run.is_whole
