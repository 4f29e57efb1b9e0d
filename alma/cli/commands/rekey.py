"""`alma-pulumi rekey`."""

from __future__ import annotations

import click

from alma.cli.options import Invocation, pass_shared, shared_options, trust_option
from alma.cli.output import say


@click.command("rekey")
@trust_option
@shared_options
@pass_shared
def command(shared: Invocation) -> None:
    """Seal what the journal keeps secret under a new key.

    The key is a new one of alma's own; where ALMA_JOURNAL_KEY or ALMA_JOURNAL_KEY_FILE give
    keys, the first of them. The old one is needed for it, after the new one, and never again.
    """
    from alma.reports.text import count
    from alma.runner.rekey import rekey
    from alma.runner.settings import Settings

    where = shared.require_journal()
    done = rekey(Settings(journal=where, trust=shared.trust))
    if shared.json:
        from alma.reports import documents

        shared.print_json(documents.rekey(done))
        return
    values = f"{count(done.values, 'value')} of {count(done.runs, 'run')}"
    say(f"{values} sealed again; the key is in {done.key}")
