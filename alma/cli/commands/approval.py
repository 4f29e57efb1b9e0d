"""`alma-pulumi approve` and `alma-pulumi refuse`: the answer to what a run waits for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from alma.cli.options import (
    Invocation,
    completed,
    pass_shared,
    run_argument,
    shared_options,
    trust_option,
)
from alma.cli.output import say

F = TypeVar("F", bound=Callable[..., Any])


def _answering(function: F) -> F:
    function = pass_shared(function)  # type: ignore[assignment]
    for option in (
        shared_options,
        trust_option,
        click.option(
            "--digest",
            default="",
            metavar="DIGEST",
            help="Only if this is the plan that it waits for: the digest, or its beginning.",
        ),
        click.option(
            "--reason", required=True, help="Why: it is kept in the journal, with your name."
        ),
        click.argument("step", shell_complete=completed("step")),
        run_argument,
    ):
        function = option(function)
    return function


@click.command("approve")
@_answering
def approve(shared: Invocation, run: str, step: str, *, reason: str, digest: str) -> None:
    """Approve what a run waits for.

    Nothing is begun by that: `resume` goes on, where the plan is still the one that was approved.
    """
    _answer(shared, run, step, approved=True, reason=reason, digest=digest)


@click.command("refuse")
@_answering
def refuse(shared: Invocation, run: str, step: str, *, reason: str, digest: str) -> None:
    """Refuse what a run waits for.

    Nothing is undone by that: `resume` turns the run back.
    """
    _answer(shared, run, step, approved=False, reason=reason, digest=digest)


def _answer(
    shared: Invocation, run: str, step: str, *, approved: bool, reason: str, digest: str
) -> None:
    from alma.reports import documents
    from alma.runner.approve import answer
    from alma.runner.settings import Settings

    settings = Settings(journal=shared.journal, trust=shared.trust)
    result = answer(run, step, approved=approved, reason=reason, digest=digest, settings=settings)
    if shared.json:
        shared.print_json(documents.run(result.status, interrupted=result.interrupted))
        return
    said = "approved" if approved else "refused"
    say(f'"{step}" of run {result.run_id} is {said}.')
    on = "Go on" if approved else "Undo it"
    say(f"{on} with `{shared.command_line(f'resume {result.status.word}')}`.")
