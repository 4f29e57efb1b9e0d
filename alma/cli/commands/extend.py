"""`alma-pulumi extend`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from alma.cli.options import Invocation, pass_shared, run_argument, shared_options, trust_option
from alma.cli.output import say

if TYPE_CHECKING:
    from alma.runner.extend import Until


@click.command("extend")
@run_argument
@click.option("--ttl", metavar="TIME", help="So long from now: 30m, 4h, 2d. none: it stays.")
@click.option("--by", metavar="TIME", help="So much later than it expires now.")
@click.option("--until", metavar="MOMENT", help="Until then: 2026-12-01T18:00Z.")
@click.option("--reason", required=True, help="Why: it is kept in the journal, with your name.")
@trust_option
@shared_options
@pass_shared
def command(
    shared: Invocation,
    run: str,
    *,
    ttl: str | None,
    by: str | None,
    until: str | None,
    reason: str,
) -> None:
    """Say anew when what a run has brought up expires."""
    from alma.reports import documents, text
    from alma.runner.extend import extend
    from alma.runner.settings import Settings

    settings = Settings(journal=shared.journal, trust=shared.trust)
    done = extend(run, _until(ttl, by, until), reason=reason, settings=settings)
    if shared.json:
        shared.print_json(documents.run(done, interrupted=not done.state.is_final))
    elif done.expires_at is None:
        say(f"{text.name(done.definition.target)} stays (run {done.run}).")
    else:
        when = text.moment(done.expires_at)
        say(f"{text.name(done.definition.target)} expires {when} (run {done.run}).")


def _until(ttl: str | None, by: str | None, until: str | None) -> Until:
    from alma.core.ttl import NONE, read_ttl, read_until
    from alma.errors import DefinitionError
    from alma.runner.extend import Until

    if sum(one is not None for one in (ttl, by, until)) != 1:
        raise click.UsageError("Give one of --ttl, --by and --until.")
    if ttl is not None:
        return Until(ttl=read_ttl("--ttl", ttl))
    if by is not None:
        later = read_ttl("--by", by)
        if later == NONE:
            raise DefinitionError("--by cannot be none.", hint="--ttl none lifts it.")
        return Until(by=later)
    return Until(at=read_until("--until", until or ""))
