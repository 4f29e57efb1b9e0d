"""`alma-pulumi skip`."""

from __future__ import annotations

import click

from alma.cli.options import Invocation, pass_shared, run_argument, shared_options
from alma.cli.output import say


@click.command("skip")
@run_argument
@click.argument("step")
@click.option("--reason", required=True, help="Why: it is kept in the journal, with your name.")
@shared_options
@pass_shared
def command(shared: Invocation, run: str, step: str, reason: str) -> None:
    """Let the undo of a run go past a step that cannot be undone.

    What is left of the step stays a leftover, so the run can only end FAILED.
    """
    import asyncio

    from alma.reports import documents
    from alma.runner.intervene import skip
    from alma.runner.settings import Settings

    settings = Settings(journal=shared.journal)
    result = asyncio.run(skip(run, step, reason=reason, settings=settings))
    if shared.json:
        shared.print_json(documents.run(result.status, interrupted=result.interrupted))
        return
    say(f'Step "{step}" of run {result.run_id} is skipped, and stays a leftover.')
    say(f"Go on with `{shared.command_line(f'rollback {result.run_id}')}`.")
