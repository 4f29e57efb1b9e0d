"""`alma-pulumi prune`."""

from __future__ import annotations

import click

from alma.cli.options import Invocation, pass_shared, shared_options, trust_option
from alma.cli.output import say


@click.command("prune")
@click.option(
    "--keep",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    metavar="N",
    help="How many of the newest runs keep their snapshots in any case.",
)
@trust_option
@shared_options
@pass_shared
def command(shared: Invocation, keep: int) -> None:
    """Remove the snapshots that no run needs any more.

    A run that is not over needs its own, and so does a FAILED one: it can still be rolled back.
    """
    from alma.journal.address import PostgresUrl
    from alma.reports.text import count
    from alma.runner.restore_points import prune
    from alma.runner.settings import Settings

    where = shared.require_journal()
    in_it = isinstance(where, PostgresUrl)  # else files beside it: nothing is written to it
    with Settings(journal=where, trust=shared.trust).open(write=in_it) as journal:
        removed = prune(journal, keep=keep)
    if shared.json:
        from alma.reports import documents

        shared.print_json(documents.prune(removed))
        return
    say(f"{count(len(removed), 'snapshot')} removed")
