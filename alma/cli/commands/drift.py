"""`alma-pulumi drift`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from alma.cli.options import Invocation, completed, pass_shared, shared_options, trust_option
from alma.cli.output import say
from alma.cli.target import load_deployed, target_options

if TYPE_CHECKING:
    from alma.runner.drift import SagaDrift
    from alma.runner.settings import Settings


@click.command("drift")
@target_options
@click.argument("steps", nargs=-1, metavar="[STEP]...", shell_complete=completed("step"))
@click.option(
    "--exclude",
    multiple=True,
    metavar="STEP",
    shell_complete=completed("step"),
    help="All that is selected but this step. Repeatable.",
)
@click.option(
    "--run",
    "run",
    metavar="RUN",
    shell_complete=completed("run"),
    help="Of the saga of this run, by the journal alone: no file is loaded, and all words are "
    "STEPs.",
)
@trust_option
@shared_options
@pass_shared
@click.pass_context
def command(
    context: click.Context,
    shared: Invocation,
    target: str,
    *,
    steps: tuple[str, ...],
    exclude: tuple[str, ...],
    run: str | None,
) -> int:
    """Look whether what is up is still as the saga's runs have left it. Changes nothing.

    With STEPs (names, or globs such as "web-*") only those.

    Exit codes: 0 no drift, 12 drift, 1 none is known of, but something could not be asked.
    """
    from alma.core.selection import Selection
    from alma.reports import drift as report
    from alma.runner.settings import Settings

    if run is not None and context.get_parameter_source("target") is not ParameterSource.DEFAULT:
        steps = (target, *steps)
    settings = Settings(
        journal=shared.journal,
        trust=shared.trust,
        selection=Selection(steps=steps, exclude=exclude),
    )
    found = _look(shared, target, run, settings)
    if shared.json:
        shared.print_json(report.document(found))
    else:
        for line in report.drift(found):
            say(line)
    for line in report.failures(found):
        say(line, err=True)
    return found.exit_code


def _look(shared: Invocation, target: str, run: str | None, settings: Settings) -> SagaDrift:
    from msgspec.structs import replace

    from alma.runner import run_sync
    from alma.runner.drift import drift, drift_of_run

    if run is not None:
        return run_sync(lambda: drift_of_run(run, settings))
    loaded = load_deployed(shared, target)
    settings = replace(settings, origin=loaded.origin, modules=loaded.modules)
    return run_sync(lambda: drift(loaded.saga, settings=settings))
