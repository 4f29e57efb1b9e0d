"""`alma-pulumi runs`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from alma.cli.environments import STATES, place_options
from alma.cli.options import Invocation, pass_shared, shared_options
from alma.cli.output import say

if TYPE_CHECKING:
    from alma.journal.reading import RunView


@click.command("runs")
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many at most."
)
@place_options
@click.option(
    "--state",
    type=click.Choice(STATES, case_sensitive=False),
    help="Only in this state; interrupted: not over, and nobody is at work on it.",
)
@shared_options
@pass_shared
def command(
    shared: Invocation, limit: int, saga: str | None, stack: str | None, state: str | None
) -> None:
    """List the runs, newest first."""
    from itertools import islice

    from alma.journal import open_journal
    from alma.journal.listing import is_in, rows_of
    from alma.journal.reading import view_run
    from alma.reports.expiry import still, with_expiry
    from alma.reports.text import table

    with open_journal(shared.where, write=False) as journal:
        found = (view_run(journal, row.run) for row in rows_of(journal, saga, stack))
        views = list(islice((view for view in found if is_in(view, state)), limit))
        when = still(journal, views)
    if shared.json:
        from alma.reports import documents

        shared.print_json(documents.runs(views))
    elif views:
        header = ("RUN", "SAGA", "KIND", "STATE", "STARTED", "TOOK")
        rows = [_row(view) for view in views]
        for line in table(*with_expiry(header, rows, views, when)):
            say(line)
    elif saga or stack or state:
        say(f"No such runs in {shared.where}.")
    else:
        say(f"No runs in {shared.where} yet.")


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
