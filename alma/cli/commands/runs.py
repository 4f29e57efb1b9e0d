"""`alma-pulumi runs`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from alma.cli.options import Invocation, pass_shared, shared_options
from alma.cli.output import say
from alma.reports import text as words

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
    from alma.journal.journal import Journal
    from alma.journal.reading import view

    with Journal.open(shared.journal_path, write=False) as journal:
        views = [view(journal, row.run) for row in journal.runs(limit=limit)]
    if shared.json:
        shared.answer([_entry(view) for view in views])
    elif views:
        header = ("RUN", "SAGA", "KIND", "STATE", "STARTED", "TOOK")
        for line in words.table(header, [_row(view) for view in views]):
            say(line)
    else:
        say(f"No runs in {shared.journal_path} yet.")


def _entry(view: RunView) -> dict[str, Any]:
    run = view.run
    return {
        "run": run.run,
        "saga": run.plan.saga,
        "stack": run.plan.stack,
        "kind": run.kind,
        "state": run.state.value,
        "interrupted": view.interrupted,
        "created_at": run.created_at.isoformat() if run.created_at else None,
        "ended_at": run.ended_at.isoformat() if run.ended_at else None,
        "steps": len(run.steps),
        "leftovers": len(run.leftovers),
    }


def _row(view: RunView) -> tuple[str, ...]:
    from alma.reports.report import seconds

    run = view.run
    took = seconds(run)
    return (
        run.run,
        run.plan.target,
        run.kind,
        view.state,
        words.moment(run.created_at),
        words.duration(took) if took is not None else "-",
    )
