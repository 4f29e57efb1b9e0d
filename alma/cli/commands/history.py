"""`alma-pulumi history`."""

from __future__ import annotations

import click

from alma.cli.options import Invocation, pass_shared, run_argument, shared_options
from alma.cli.output import say


@click.command("history")
@run_argument
@shared_options
@pass_shared
def command(shared: Invocation, run: str) -> None:
    """Show every event of a run, in order."""
    from alma.journal import open_journal
    from alma.reports import report, text
    from alma.reports.summary import summarize

    with open_journal(shared.where, write=False) as journal:
        entries = journal.events(journal.resolve(run))
    if shared.json:
        from alma.reports import documents

        shared.print_json(documents.history(entries))
        return
    rows = [
        (
            str(entry.seq),
            f"{entry.at:%Y-%m-%d %H:%M:%S.%f}"[:-3],
            entry.event.type,
            entry.event.step or "-",
            summarize(entry.event),
        )
        for entry in entries
    ]
    header, *lines = text.table(("SEQ", "TIME (UTC)", "TYPE", "STEP", "SUMMARY"), rows)
    say(header)
    for entry, line in zip(entries, lines, strict=True):
        say(line)
        for end in report.ends_from_elsewhere(entry.event):
            say(end)
