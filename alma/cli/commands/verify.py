"""`alma-pulumi verify`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from alma.cli.options import Invocation, pass_shared, shared_options
from alma.cli.output import say

if TYPE_CHECKING:
    from alma.journal.chain import Head


def _head(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Head | None:
    """A `Head` from `POSITION:HASH`; a usage error for anything else."""
    if value is None:
        return None
    from alma.journal.chain import Head

    match = re.fullmatch(r"(\d{1,18}):([0-9a-f]{64})", value)
    if match is None:
        raise click.BadParameter("it must be POSITION:HASH, as `alma-pulumi verify` prints it.")
    return Head(position=int(match[1]), hash=match[2])


@click.command("verify")
@click.option(
    "--head",
    callback=_head,
    metavar="POSITION:HASH",
    help="An earlier head, kept elsewhere: it must still be in the chain.",
)
@shared_options
@pass_shared
def command(shared: Invocation, head: Head | None) -> int:
    """Check the journal's chain, whose it is, and print its head to be kept elsewhere.

    Exit codes: 0 whole (another's too), 11 broken (the first break is named), 6 no journal.
    """
    from alma.errors import JournalError
    from alma.journal import open_journal

    where = shared.require_journal()
    with open_journal(where, write=False) as journal:
        verdict = journal.verify(head)
        others = [] if verdict.first_break else journal.others()
    end = f"{verdict.head.position}:{verdict.head.hash}"
    broken = verdict.first_break
    if shared.json:
        from alma.reports import documents

        shared.print_json(documents.verify(verdict, others))
    if broken is None:
        if not shared.json:
            say(f"ok: {verdict.events} events of {verdict.runs} runs")
            say(f"head: {end}")
            say(_whose(others))
        return 0
    say(f"error: The journal {where} is not what was written: {broken}.", err=True)
    say(f"hint: The {verdict.events} events before it are whole. Compare with a backup.", err=True)
    return JournalError.exit_code


def _whose(others: list[str]) -> str:
    """Whether it would be acted on."""
    from alma.reports.text import count

    if not others:
        return "yours: written with a key of yours"
    return (
        f"not yours: {count(len(others), 'run')} not written with a key of yours (the newest is "
        f"{others[0]}): it can be looked at, and is not acted on without --trust"
    )
