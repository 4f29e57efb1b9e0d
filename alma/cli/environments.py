"""Which runs are meant: of which saga, on which stack, in which state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

if TYPE_CHECKING:
    from alma.journal import Journal
    from alma.journal.reading import RunView
    from alma.journal.store import RunRow

F = TypeVar("F", bound=Callable[..., Any])

INTERRUPTED: Final = "INTERRUPTED"
STATES: Final = (
    "PENDING",
    "RUNNING",
    "COMPENSATING",
    "COMPLETED",
    "FAILED",
    "COMPENSATED",
    INTERRUPTED,
)
"""Those of `SagaState`, which is not loaded for this; and not over, with nobody at work."""


def place_options(function: F) -> F:
    """`--saga` and `--stack`: which runs are meant."""
    for option in (
        click.option("--stack", metavar="NAME", help="Only on this stack; or ORG/NAME."),
        click.option("--saga", metavar="NAME", help="Only of this saga."),
    ):
        function = option(function)
    return function


def rows_of(journal: Journal, saga: str | None, stack: str | None) -> Iterator[RunRow]:
    """The runs of the saga on the stack, newest first; None means any."""
    for row in journal.runs(limit=None):
        named = row.target.removesuffix(f"{row.saga}/{row.stack}") + row.stack
        if saga in (None, row.saga) and stack in (None, row.stack, named):
            yield row


def is_in(view: RunView, state: str | None) -> bool:
    """Whether the run is in this state; None means any."""
    if state is None or state == INTERRUPTED:
        return state is None or view.interrupted
    return view.run.state.name == state
