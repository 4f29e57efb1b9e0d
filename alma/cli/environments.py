"""Which runs are meant: of which saga, on which stack, in which state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

STATES: Final = (
    "PENDING",
    "RUNNING",
    "COMPENSATING",
    "COMPLETED",
    "FAILED",
    "COMPENSATED",
    "INTERRUPTED",
)
"""As `alma.journal.listing` has them, which is not loaded for this."""


def place_options(function: F) -> F:
    """`--saga` and `--stack`: which runs are meant."""
    for option in (
        click.option("--stack", metavar="NAME", help="Only on this stack; or ORG/NAME."),
        click.option("--saga", metavar="NAME", help="Only of this saga."),
    ):
        function = option(function)
    return function
