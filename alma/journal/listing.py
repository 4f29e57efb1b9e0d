"""Which runs are meant: of which saga, on which stack, in which state."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from alma.core.run import SagaState
from alma.journal import Journal
from alma.journal.reading import RunView
from alma.journal.rows import RunRow

INTERRUPTED: Final = "INTERRUPTED"
STATES: Final = (*SagaState.__members__, INTERRUPTED)
"""Those of a run; and not over, with nobody at work."""


def stack_of(row: RunRow) -> str:
    """The stack with its organization, where it has one: `dev`, `acme/dev`."""
    return row.target.removesuffix(f"{row.saga}/{row.stack}") + row.stack


def rows_of(journal: Journal, saga: str | None, stack: str | None) -> Iterator[RunRow]:
    """The runs of the saga on the stack, newest first; None means any."""
    for row in journal.runs(limit=None):
        if saga in (None, row.saga) and stack in (None, row.stack, stack_of(row)):
            yield row


def is_in(view: RunView, state: str | None) -> bool:
    """Whether the run is in this state; None means any."""
    if state is None or state == INTERRUPTED:
        return state is None or view.interrupted
    return view.run.state.name == state
