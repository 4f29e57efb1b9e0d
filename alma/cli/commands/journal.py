"""`alma-pulumi journal`: what is done with a journal as a whole."""

from __future__ import annotations

import click

from alma.cli.options import Invocation, pass_shared, shared_options
from alma.cli.output import say


@click.group("journal")
def group() -> None:
    """Make a journal, or copy one to another place."""


@group.command("init")
@shared_options
@pass_shared
def init(shared: Invocation) -> None:
    """Make the journal, or bring it to this version of alma, without a run.

    For who may make tables where those who run sagas may not.
    """
    from alma.journal import open_journal

    with open_journal(shared.where, write=True) as journal:
        name = journal.name
    if shared.json:
        shared.print_json({"journal": name})
        return
    say(f"ready: {name}")


@group.command("copy")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@shared_options
@pass_shared
def copy(shared: Invocation, source: str, target: str) -> None:
    """Copy the runs that TO lacks from FROM: paths, or postgresql: URLs.

    The chain is verified before and after; a second copy adds nothing. Refused while a run is at
    work, and where TO has runs of the same saga and stack that FROM has not (exit code 11).
    """
    from alma.journal.address import address_of
    from alma.reports.text import count
    from alma.runner.copying import copy_journal

    done = copy_journal(address_of(source), address_of(target))
    if shared.json:
        from alma.reports import documents

        shared.print_json(documents.copied(done))
        return
    said = (count(done.runs, "run"), count(done.events, "event"), count(done.snapshots, "snapshot"))
    say(f"copied: {', '.join(said)}; the chain is whole")
