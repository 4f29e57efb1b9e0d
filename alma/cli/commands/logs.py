"""`alma-pulumi logs`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from alma.cli.options import Invocation, completed, pass_shared, run_argument, shared_options
from alma.cli.output import say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alma.runner.operation_logs import LoggedOperation, LogLine

INTERRUPTED = 8
"""`error_handler.CANCELLED`; whoever follows a log stops in this way, and knows it."""


@click.command("logs")
@run_argument
@click.argument("step", default="", required=False, shell_complete=completed("step"))
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes, until the run ends.")
@shared_options
@pass_shared
def command(shared: Invocation, run: str, step: str, *, follow: bool) -> int:
    """Print what the operations of a run have said, without secrets.

    STEP is whose; by default those of all steps, each line with its step's name before it.
    """
    from alma.errors import DefinitionError
    from alma.journal import open_journal
    from alma.runner.operation_logs import operation_logs

    if follow and shared.json:
        raise DefinitionError("--json prints one document at the end, and --follow has none.")
    with open_journal(shared.where, write=False) as journal:
        run_id = journal.resolve(run)
        lines = operation_logs(journal, run_id, step, follow=follow)
        if shared.json:
            from alma.reports import documents

            shared.print_json(documents.logs(lines))
            return 0
        try:
            if not _print(lines, named=not step):
                of = f'Step "{step}" of run' if step else "Run"
                say(f"{of} {run_id} has begun nothing: there is no log.")
        except KeyboardInterrupt:
            if not follow:
                raise
            return INTERRUPTED
    return 0


def _print(lines: Iterator[LogLine], *, named: bool) -> bool:
    """False when there was nothing to print."""
    before: tuple[str, str] | None = None
    for line in lines:
        operation = line.operation
        start = f"{operation.step} | " if named else ""
        if (operation.id, line.file) != before:
            before = operation.id, line.file
            say(f"{start}{_head(operation, line.file)}")
        say(f"{start}  {line.text}")
    return before is not None


def _head(operation: LoggedOperation, file: str) -> str:
    from alma.reports.report import short
    from alma.reports.text import moment

    attempt = f" (attempt {operation.attempt})" if operation.attempt > 1 else ""
    where = f", {short(str(operation.directory / file))}" if file else ""
    return f"{operation.step}: {operation.kind}{attempt}, {moment(operation.at)}{where}"
