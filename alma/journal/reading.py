"""A run as it stands in the journal, and whether somebody drives it. Writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from alma.core.events import Recorded
from alma.core.run import RunStatus, SagaState
from alma.core.state import IllegalTransitionError, fold
from alma.core.struct import Frozen
from alma.errors import JournalError
from alma.journal.journal import Journal
from alma.journal.lease import Holder


class RunView(Frozen):
    """A run, and the live runner that drives it; None when nobody does."""

    run: RunStatus
    runner: Holder | None

    @property
    def interrupted(self) -> bool:
        """Not over, and nobody is at work on it."""
        return not self.run.state.is_final and self.runner is None

    @property
    def state(self) -> str:
        """The state in words for people."""
        return f"{self.run.state.name} (interrupted)" if self.interrupted else self.run.state.name


def look(path: Path, reference: str) -> RunView:
    """The run that RUN means; raises RunNotFoundError, JournalError."""
    with Journal.open(path, write=False) as journal:
        return view(journal, journal.resolve(reference))


def view(journal: Journal, run_id: str) -> RunView:
    """One run, its events and its lease seen at one moment.

    A runner writes its last event, then lets go of the lease: seen in the other order, a run
    that just ended would look interrupted. So it is read again when the lease was let go.
    """
    target = journal.run(run_id).target
    while True:
        held = journal.is_held(target)
        run = folded(journal, journal.events(run_id))
        if run.state.is_final:
            return RunView(run=run, runner=None)
        if held == journal.is_held(target):
            break
    holder = journal.holder(target) if held else None
    return RunView(run=run, runner=holder if holder and holder.run == run_id else None)


def folded(journal: Journal, events: Iterable[Recorded]) -> RunStatus:
    """The state that the events make; JournalError where they make none."""
    try:
        return fold(events)
    except (IllegalTransitionError, LookupError, TypeError) as error:
        raise JournalError(
            f"The journal {journal.path} cannot be trusted: {error}.",
            hint="alma-pulumi verify names the first break.",
        ) from error


def from_earlier_runs(journal: Journal, run: RunStatus) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """What a destroy knows of its steps: by name the run that brought it up, and its outputs.

    Without the outputs a compensation with inputs could not be called; and an action that must be
    repeated for its secrets is repeated with the key of that run, or it would act anew. The
    newest run counts.
    """
    known: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for row in journal.runs(limit=None, target=run.plan.target):
        before = fold(journal.events(row.run))
        if before.kind != "up":
            continue
        for step in before.steps.values():
            left = bool(step.outputs) and not step.how  # made, and its undo failed
            if (step.state is SagaState.COMPLETED or left) and step.name in run.steps:
                known.setdefault(step.name, (before.run, step.outputs))
        if before.state is SagaState.COMPLETED:
            break
    return known
