"""`alma-pulumi destroy`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from alma.cli.options import (
    Invocation,
    LocalStackCommand,
    accept_backend_option,
    localstack_option,
    pass_shared,
    shared_options,
    trust_option,
)
from alma.cli.target import load_deployed, target_options

if TYPE_CHECKING:
    from alma.core.definition import LocalStack
    from alma.saga.saga import Saga


@click.command("destroy", cls=LocalStackCommand)
@target_options
@click.option("--remove", is_flag=True, help="Remove the stacks' records and history as well.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask (it is only asked on a terminal).")
@localstack_option
@accept_backend_option
@trust_option
@shared_options
@pass_shared
def command(
    shared: Invocation,
    target: str,
    *,
    localstack: LocalStack | None,
    accept_backend: bool,
    remove: bool,
    yes: bool,
) -> int:
    """Take the whole saga down, in reverse order, as a journaled run of its own."""
    from alma import runner
    from alma.cli.progress import run_and_report
    from alma.runner.settings import Settings

    loaded = load_deployed(shared, target)
    if not (yes or shared.json):
        _confirm(loaded.saga)
    return run_and_report(
        shared,
        lambda reporter: runner.destroy(
            loaded.saga,
            remove=remove,
            settings=Settings(
                journal=shared.journal,
                trust=shared.trust,
                reporter=reporter,
                aws=localstack,
                accept_backend=accept_backend,
                origin=loaded.origin,
                modules=loaded.modules,
            ),
        ),
    )


def _confirm(saga: Saga) -> None:
    """Ask a person at a terminal; a pipeline has decided already."""
    if sys.stdin is None or not sys.stdin.isatty():
        return
    names = ", ".join(step.name for step in reversed(saga.steps))
    question = f"Destroy {saga.target} ({names})?"
    click.confirm(question, abort=True, err=True)
