"""`alma-pulumi report`."""

from __future__ import annotations

import click

from alma.cli.options import Invocation, completed, pass_shared, shared_options
from alma.cli.output import say
from alma.cli.reporting import read_report, report_option, write_reports


@click.command("report")
@click.argument("run", default="latest", shell_complete=completed("run"))
@click.option(
    "--format",
    "form",
    type=click.Choice(["md", "json", "html", "xml"]),
    default="md",
    show_default=True,
    help="Of what is printed where no --report names a file.",
)
@report_option
@shared_options
@pass_shared
def command(shared: Invocation, run: str, form: str) -> None:
    """Write a report of a run as it stands: Markdown, JSON, a page, or JUnit.

    RUN is by default the latest. Secrets are masked.
    """
    if shared.reports:
        write_reports(shared, run)
        return
    from msgspec import to_builtins

    from alma.reports.formats import FORMATS

    report, definition = read_report(shared, run)
    if shared.json or form == "json":
        shared.print_json(to_builtins(report))
        return
    say(FORMATS[form](report, definition).removesuffix("\n"))
