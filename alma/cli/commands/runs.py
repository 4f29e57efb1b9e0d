"""`alma-pulumi runs`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from alma.cli.options import Invocation, pass_shared, shared_options
from alma.cli.output import say

if TYPE_CHECKING:
    from alma.journal.reading import RunView


@click.command("runs")
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many at most."
)
@shared_options
@pass_shared
def command(shared: Invocation, limit: int) -> None:
    """List the runs, newest first."""
    from alma.journal import open_journal
    from alma.journal.reading import view_run
    from alma.reports.text import table

    with open_journal(shared.journal_path, write=False) as journal:
        views = [view_run(journal, row.run) for row in journal.runs(limit=limit)]
    if shared.json:
        from alma.reports import documents

        shared.print_json(documents.runs(views))
    elif views:
        header = ("RUN", "SAGA", "KIND", "STATE", "STARTED", "TOOK")
        for line in table(header, [_row(view) for view in views]):
            say(line)
    else:
        say(f"No runs in {shared.journal_path} yet.")


def _row(view: RunView) -> tuple[str, ...]:
    from alma.reports import text
    from alma.reports.report import seconds

    run = view.run
    took = seconds(run)
    return (
        run.run,
        run.definition.target,
        run.kind,
        view.state,
        text.moment(run.created_at),
        text.duration(took) if took is not None else "-",
    )
