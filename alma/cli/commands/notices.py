"""`alma-pulumi notices`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from alma.cli.options import Invocation, completed, pass_shared, shared_options, trust_option
from alma.cli.output import say

if TYPE_CHECKING:
    from alma.journal.rows import DeliveryRow


@click.command("notices")
@click.argument("run", default="", shell_complete=completed("run"))
@click.option("--send", is_flag=True, help="Try now what was not delivered, of any run.")
@click.option("--all", "every", is_flag=True, help="List what was delivered as well.")
@trust_option
@shared_options
@pass_shared
def command(shared: Invocation, run: str, *, send: bool, every: bool) -> int:
    """List who was not told of a run yet, or of any run, and why.

    Exit code: 0; with --send 1 where something is still not delivered.
    """
    from alma.journal import open_journal

    where = shared.require_journal()
    left = _send(shared) if send else []
    with open_journal(where, write=False) as journal:
        found = journal.deliveries(journal.resolve(run) if run else None)
    shown = [row for row in found if every or row.state != "delivered"]
    if shared.json:
        from alma.reports.untold import documents

        code = 1 if left else 0
        shared.print_json({"notices": documents(shown), "exit_code": code})
        return code
    for line in _lines(shown):
        say(line)
    if not shown:
        say("No notices." if every else "Nothing is left to be delivered.")
    return 1 if left else 0


def _send(shared: Invocation) -> list[DeliveryRow]:
    from alma.runner.notices.by_hand import send_now
    from alma.runner.settings import Settings

    return send_now(Settings(journal=shared.journal, trust=shared.trust))


def _lines(rows: list[DeliveryRow]) -> list[str]:
    from alma.reports.text import table

    if not rows:
        return []
    header = ("RUN", "NOTICE", "TO", "STATE", "TRIED", "WHY")
    return table(header, [_row(row) for row in rows])


def _row(row: DeliveryRow) -> tuple[str, ...]:
    tried = str(row.attempts or "-")
    return row.run, row.notice, row.notifier, row.state, tried, row.error or "-"
