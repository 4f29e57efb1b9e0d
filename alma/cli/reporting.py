"""Reports that a command writes when its run has ended: `--report FILE`, and a job's summary."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from alma.cli.options import Invocation
from alma.cli.output import say
from alma.errors import AlmaError

if TYPE_CHECKING:
    from alma.core.definition import Definition
    from alma.reports.run_report import Report

F = TypeVar("F", bound=Callable[..., Any])


def report_option(function: F) -> F:
    """`--report FILE`, repeatable; kept in `Invocation`, not passed on."""
    return click.option(
        "--report",
        "reports",
        type=click.Path(dir_okay=False, writable=True, path_type=Path),
        multiple=True,
        metavar="FILE",
        help="Write a report of the run: FILE.json, .md, .html or .xml (JUnit). Repeatable.",
        expose_value=False,
        callback=_keep,
    )(function)


def _keep(context: click.Context, _parameter: click.Parameter, paths: tuple[Path, ...]) -> None:
    """Refused before anything runs: what cannot be written then is not worth the run."""
    from alma.reports.formats import format_of

    for path in paths:
        try:
            form = format_of(path)
        except ValueError as error:
            raise click.BadParameter(f"{error}.") from error
        if not path.absolute().parent.is_dir():
            raise click.BadParameter(f"{path.parent} is no directory.")
        if form == "html":
            _require_library()
    if paths:
        # Absolute, for a run may go on in the directory that it was begun in.
        context.ensure_object(Invocation).reports = tuple(path.absolute() for path in paths)


def _require_library() -> None:
    from importlib.util import find_spec

    if find_spec("jinja2") is None:
        raise click.UsageError(
            "A report as a page needs jinja2: pip install 'alma-pulumi[html]', or write .md."
        )


def write_reports(shared: Invocation, run: str) -> None:
    """What `--report` asks for, and the summary of a job of GitHub Actions.

    The run has ended as it has: a report that cannot be made or written is a warning.
    """
    wanted = [(path, False) for path in shared.reports]
    from alma.cli import github

    summary = github.summary_file()
    wanted += [(summary, True)] if summary is not None else []
    if not wanted:
        return
    from alma.reports.formats import FORMATS, format_of

    try:
        report, definition = read_report(shared, run)
        for path, is_summary in wanted:
            form = "md" if is_summary else format_of(path)
            _write(path, FORMATS[form](report, definition), append=is_summary)
    except (AlmaError, OSError) as error:
        said = error.strerror if isinstance(error, OSError) else str(error)
        say(f"warning: a report of this run was not written: {said}", err=True)


def read_report(shared: Invocation, run: str) -> tuple[Report, Definition]:
    """A run's report as it stands now, and what the run is a run of."""
    from alma.journal import open_journal
    from alma.reports import standing

    with open_journal(shared.where, write=False) as journal:
        found = standing.look(journal, journal.resolve(run), shared.journal)
        events = journal.events(found.view.run.run)
    return standing.read_report(found, events), found.view.run.definition


def _write(path: Path, content: str, *, append: bool) -> None:
    if append:
        with path.open("a", encoding="utf-8") as stream:
            stream.write(content)
    elif path.exists() and not path.is_file():  # a pipe, or `/dev/stdout`: nothing to put there
        path.write_text(content, encoding="utf-8")
    else:
        from alma.system.files import replace

        replace(path, content)
