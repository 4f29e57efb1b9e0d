"""`alma-pulumi doctor`."""

from __future__ import annotations

import click

from alma.cli.options import Invocation, pass_shared, shared_options
from alma.cli.output import say


@click.command("doctor")
@click.option(
    "--remote",
    is_flag=True,
    help="Ask backends and LocalStacks on other machines, too, that only the journal names.",
)
@shared_options
@pass_shared
def command(shared: Invocation, *, remote: bool) -> int:
    """Check CLI, plugins, backend, journal and locks; say what is wrong, and the mend.

    Exit codes: 0 nothing that would stop a run, 1 something would.
    """
    import asyncio

    from alma.reports.text import plain
    from alma.runner.doctor import examine

    checks = asyncio.run(examine(shared.where, remote=remote))
    code = 1 if any(check.level == "fail" for check in checks) else 0
    if shared.json:
        from alma.reports import documents

        shared.print_json(documents.doctor(checks, code))
        return code
    for check in checks:
        say(f"{check.level:4}  {check.name:10}  {plain(check.message)}")
        if check.mend:
            say(f"{'':18}mend: {plain(check.mend)}")
    return code
