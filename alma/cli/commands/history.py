"""`alma-pulumi history`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from alma.cli.options import Invocation, pass_shared, run_argument, shared_options
from alma.cli.output import say
from alma.reports import text as words

if TYPE_CHECKING:
    from alma.core.events import Recorded


@click.command("history")
@run_argument
@shared_options
@pass_shared
def command(shared: Invocation, run: str) -> None:
    """Show every event of a run, in order."""
    from alma.journal.journal import Journal
    from alma.reports.summary import summary

    with Journal.open(shared.journal_path, write=False) as journal:
        entries = journal.events(journal.resolve(run))
    if shared.json:
        shared.answer([_entry(entry) for entry in entries])
        return
    rows = [
        (
            str(entry.seq),
            f"{entry.at:%Y-%m-%d %H:%M:%S.%f}"[:-3],
            entry.event.type,
            entry.event.step or "-",
            summary(entry.event),
        )
        for entry in entries
    ]
    for line in words.table(("SEQ", "TIME (UTC)", "TYPE", "STEP", "SUMMARY"), rows):
        say(line)


def _entry(entry: Recorded) -> dict[str, Any]:
    from alma.core.events import encode

    return {
        **encode(entry.event),
        "seq": entry.seq,
        "at": entry.at.isoformat(),
        "type": entry.event.type,
        "step": entry.event.step,
        "epoch": entry.epoch,
        "hash": entry.hash,
    }
