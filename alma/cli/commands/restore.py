"""`alma-pulumi restore`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from alma.cli.options import (
    Invocation,
    completed,
    pass_shared,
    shared_options,
    trust_option,
)
from alma.cli.output import say
from alma.cli.reporting import report_option
from alma.cli.target import load_deployed, target_options

if TYPE_CHECKING:
    from alma.saga.saga import Saga


@click.command("restore")
@target_options
@click.option(
    "--step",
    metavar="NAME",
    shell_complete=completed("step"),
    help="Of which step the stack is put back; not needed where the saga has just one.",
)
@click.option(
    "--to",
    metavar="RUN",
    shell_complete=completed("run"),
    help="To what it was then; without it, tell what there is.",
)
@click.option("--after", is_flag=True, help="As that run left it, instead of as it found it.")
@click.option("--preview-only", is_flag=True, help="Tell what would change, and change nothing.")
@click.option("--accept-changes", is_flag=True, help="Even over changes by somebody else.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask. Without a terminal it is needed.")
@trust_option
@report_option
@shared_options
@pass_shared
def command(
    shared: Invocation,
    target: str,
    step: str | None,
    to: str | None,
    *,
    after: bool,
    preview_only: bool,
    accept_changes: bool,
    yes: bool,
) -> int:
    """Put a stack back to what it was before an earlier run, as a journaled run of its own."""
    from alma.cli.progress import run_and_report
    from alma.errors import DefinitionError
    from alma.reports import documents
    from alma.reports import preview as report
    from alma.runner import run_sync
    from alma.runner.restore import foresee, restorable, restore
    from alma.runner.settings import Settings

    loaded = load_deployed(shared, target)
    name = step or _only_stack(loaded.saga)
    settings = Settings(
        journal=shared.journal, trust=shared.trust, origin=loaded.origin, modules=loaded.modules
    )
    if to is None:
        found = run_sync(lambda: restorable(loaded.saga, step=name, settings=settings))
        if shared.json:
            shared.print_json(documents.restore_points(found))
        else:
            _print(report.restore_points(found))
        return 0
    asked = not (yes or preview_only)
    if asked and (sys.stdin is None or not sys.stdin.isatty()):
        raise DefinitionError(
            "A restore asks before it begins, and there is no terminal to ask at.",
            hint="Give --yes, or look first with --preview-only.",
        )
    plan = run_sync(
        lambda: foresee(
            loaded.saga,
            step=name,
            to=to,
            moment="after" if after else "before",
            settings=settings,
            accept_changes=accept_changes,
        )
    )
    if preview_only and shared.json:
        shared.print_json(documents.restore_preview(plan))
    elif not shared.json or asked:
        _print(report.restore_preview(plan), err=shared.json)
    if preview_only:
        return 0
    if asked:
        click.confirm(f"Restore {plan.label}?", abort=True, err=True)
    return run_and_report(
        shared,
        lambda reporter: restore(
            loaded.saga,
            plan,
            Settings(
                journal=shared.journal,
                trust=shared.trust,
                reporter=reporter,
                origin=loaded.origin,
                modules=loaded.modules,
            ),
        ),
    )


def _print(lines: list[str], *, err: bool = False) -> None:
    for line in lines:
        say(line, err=err)


def _only_stack(saga: Saga) -> str:
    from alma.errors import DefinitionError

    names = [step.name for step in saga.definition().steps if step.project]
    if len(names) == 1:
        return names[0]
    raise DefinitionError(
        "Which stack? Name its step with --step.", hint=f"The saga has: {', '.join(names)}."
    )
