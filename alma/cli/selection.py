"""The options by which a command is about some steps of its saga and not about others."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click

from alma.cli.options import completed

F = TypeVar("F", bound=Callable[..., Any])


def selecting(function: F) -> F:
    """`[STEP]...`, `--from`, `--exclude` and `--exclusive`, passed on as `selection`."""

    @wraps(function)
    def call(
        *args: Any,
        steps: tuple[str, ...],
        from_steps: tuple[str, ...],
        exclude: tuple[str, ...],
        exclusive: bool,
        **options: Any,
    ) -> Any:
        from alma.core.selection import Selection

        selection = Selection(
            steps=steps, from_steps=from_steps, exclude=exclude, exclusive=exclusive
        )
        return function(*args, selection=selection, **options)

    # What `wraps` has taken over are the options that stand below this one.
    decorated: Any = call
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


_OPTIONS = (
    click.argument("steps", nargs=-1, metavar="[STEP]...", shell_complete=completed("step")),
    click.option(
        "--from",
        "from_steps",
        multiple=True,
        metavar="STEP",
        shell_complete=completed("step"),
        help="This step and all that depend on it. Repeatable.",
    ),
    click.option(
        "--exclude",
        multiple=True,
        metavar="STEP",
        shell_complete=completed("step"),
        help="All that is selected but this step. Repeatable.",
    ),
    click.option(
        "--exclusive", is_flag=True, help="The named steps alone, without those that go with them."
    ),
)

changed_option = click.option(
    "--changed",
    is_flag=True,
    help="Leave steps alone that are as their last run has left them.",
)
