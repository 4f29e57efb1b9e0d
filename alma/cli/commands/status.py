"""`alma-pulumi status`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from alma.cli.options import Invocation, completed, pass_shared, shared_options
from alma.cli.output import say, state

if TYPE_CHECKING:
    from alma.core.events import Leftover
    from alma.journal.reading import RunView


@click.command("status")
@click.argument("run", default="latest", shell_complete=completed("run"))
@shared_options
@pass_shared
def command(shared: Invocation, run: str) -> None:
    """Show how a run stands: its steps, outputs, leftovers, and how to go on.

    RUN is by default the latest.
    """
    from alma.journal.reading import find_run
    from alma.reports import report

    view = find_run(shared.journal_path, run)
    gone = _gone(view, shared)
    following = []
    if not view.runner:
        following = report.next_commands(view.run, shared.journal, interrupted=view.interrupted)
    if shared.json:
        from alma.reports import documents

        shared.print_json(documents.status(view, following, gone))
        return
    for line in _lines(view, following, gone):
        say(line)


def _gone(view: RunView, shared: Invocation) -> dict[Leftover, str]:
    """Which leftovers a later run has proven gone; only a run that has any is looked into."""
    if not view.run.leftovers:
        return {}
    from alma.journal import open_journal
    from alma.journal.reading import proven_gone

    with open_journal(shared.journal_path, write=False) as journal:
        return proven_gone(journal, view.run)


def _lines(view: RunView, following: list[str], gone: dict[Leftover, str]) -> list[str]:
    from alma.reports import report, text

    run = view.run
    took = report.seconds(run)
    lines = [
        f"Run      {run.run} ({run.kind})",
        f"Saga     {run.definition.target}",
        f"State    {state(view.state)}",
        f"Started  {text.moment(run.created_at)}"
        + (f", took {text.duration(took)}" if took is not None else ""),
    ]
    if view.runner is not None:
        process = view.runner.process
        lines.append(
            f"Runner   running now, pid {process.pid} on {process.machine} "
            f"since {text.moment(view.runner.acquired_at)}"
        )
    lines += ["", *report.steps(run)]
    for heading, part in (
        ("", list(report.failures(run))),
        ("Outputs:", report.outputs(run)),
        ("Left behind:", report.leftovers(run.leftovers, gone)),
    ):
        if part:
            lines += ["", *filter(None, [heading]), *part]
    if following:
        lines += ["", "Go on with:", *(f"  {command}" for command in following)]
    return lines
