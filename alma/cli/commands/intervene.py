"""`alma-pulumi skip` and `alma-pulumi abandon`: ways out where an undo cannot succeed."""

from __future__ import annotations

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
from alma.cli.reporting import report_option, write_reports


@click.command("skip")
@run_argument
@click.argument("step", shell_complete=completed("step"))
@click.option("--reason", required=True, help="Why: it is kept in the journal, with your name.")
@trust_option
@report_option
@shared_options
@pass_shared
def skip(shared: Invocation, run: str, step: str, reason: str) -> None:
    """Let the undo of a run go past a step that cannot be undone.

    What is left of the step stays a leftover, so the run can only end FAILED.
    """
    import asyncio

    from alma.reports import documents
    from alma.runner import intervene
    from alma.runner.settings import Settings

    settings = Settings(journal=shared.journal, trust=shared.trust)
    result = asyncio.run(intervene.skip(run, step, reason=reason, settings=settings))
    write_reports(shared, result.run_id)
    if shared.json:
        shared.print_json(documents.run(result.status, interrupted=result.interrupted))
        return
    say(f'Step "{step}" of run {result.run_id} is skipped, and stays a leftover.')
    say(f"Go on with `{shared.command_line(f'rollback {result.status.word}')}`.")


@click.command("abandon")
@run_argument
@click.option("--reason", required=True, help="Why: it is kept in the journal, with your name.")
@trust_option
@report_option
@shared_options
@pass_shared
def abandon(shared: Invocation, run: str, reason: str) -> int:
    """Give a run up: it ends FAILED, with all that is left of it named.

    Exit code: 10, as for every run that ends so; it is never counted as clean.
    """
    import asyncio

    from alma.reports import documents, report, text
    from alma.runner import intervene
    from alma.runner.settings import Settings

    settings = Settings(journal=shared.journal, trust=shared.trust)
    result = asyncio.run(intervene.abandon(run, reason=reason, settings=settings))
    write_reports(shared, result.run_id)
    if shared.json:
        shared.print_json(documents.run(result.status, interrupted=False))
        return result.exit_code
    left = text.count(len(result.leftovers), "leftover")
    say(f"Run {result.run_id} is abandoned: FAILED, with {left}.")
    for line in report.leftovers(result.leftovers):
        say(line)
    return result.exit_code
