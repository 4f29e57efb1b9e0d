"""`alma-pulumi status`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from alma.cli.environments import place_options
from alma.cli.options import Invocation, completed, pass_shared, shared_options, unfold_option
from alma.cli.output import say, state

if TYPE_CHECKING:
    from alma.core.events import Leftover
    from alma.journal.reading import RunView
    from alma.journal.rows import DeliveryRow


@click.command("status")
@click.argument("run", default="latest", shell_complete=completed("run"))
@click.option(
    "--all",
    "every",
    is_flag=True,
    help="Each environment (a saga on a stack) in a line: its newest run.",
)
@unfold_option
@place_options
@shared_options
@pass_shared
def command(
    shared: Invocation,
    run: str,
    *,
    every: bool,
    unfold: bool,
    saga: str | None,
    stack: str | None,
) -> None:
    """Show how a run stands: its steps, outputs, leftovers, and how to go on.

    RUN is by default the latest; with --saga, --stack or --all the newest of each saga on each
    stack is listed.
    """
    if every or saga or stack:
        if run != "latest":
            raise click.UsageError("Give a RUN, or --all, --saga and --stack, not both.")
        _list(shared, saga, stack)
        return
    from alma.journal import open_journal
    from alma.reports import report
    from alma.reports.standing import look

    with open_journal(shared.where, write=False) as journal:
        found = look(journal, journal.resolve(run), shared.journal)
    view, gone, following = found.view, found.gone, found.following
    if shared.json:
        from alma.reports import documents

        described = documents.status(view, following, gone)
        described["undelivered"] = _undelivered(found.untold)
        if unfold:
            described["within"] = [documents.part(one, item) for one, item in _parts(view, shared)]
        shared.print_json(described)
        return
    for line in _lines(view, following, gone, _expiry(view, shared), _not_told(found.untold)):
        say(line)
    for one, item in _parts(view, shared) if unfold else ():
        for line in ["", *report.part(one.run, item, one.state)]:
            say(line)


def _parts(view: RunView, shared: Invocation) -> list[tuple[RunView, str]]:
    """The runs that are a part of it, however deep, each after the one that it is a part of."""
    from alma.errors import RunNotFoundError
    from alma.journal import open_journal
    from alma.journal.reading import view_run

    found: list[tuple[RunView, str]] = []
    with open_journal(shared.where, write=False) as journal:
        for step in view.run.steps.values():
            for item, child in step.children.items():
                try:
                    part = view_run(journal, journal.run(child.run).run)
                except RunNotFoundError:
                    continue  # it was named, and never began
                name = f"{step.name}[{item}]" if item else step.name
                found += [(part, name), *_parts(part, shared)]
    return found


def _list(shared: Invocation, saga: str | None, stack: str | None) -> None:
    """The newest run of each environment."""
    from alma.journal import open_journal
    from alma.journal.listing import rows_of
    from alma.journal.reading import view_run
    from alma.reports.expiry import still, with_expiry
    from alma.reports.text import table

    newest: dict[str, str] = {}
    with open_journal(shared.where, write=False) as journal:
        for row in rows_of(journal, saga, stack):
            newest.setdefault(row.target, row.run)
        views = [view_run(journal, run) for _, run in sorted(newest.items())]
        when = still(journal, views)
    if shared.json:
        from alma.reports import documents

        shared.print_json(documents.runs(views))
    elif views:
        header = ("SAGA", "STATE", "KIND", "STARTED", "LEFT", "RUN")
        rows = [_row(view) for view in views]
        for line in table(*with_expiry(header, rows, views, when)):
            say(line)
    else:
        say(f"No such runs in {shared.where}.")


def _row(view: RunView) -> tuple[str, ...]:
    from alma.reports import text

    run = view.run
    started, left = text.moment(run.created_at), str(len(run.leftovers) or "-")
    return run.definition.target, view.state, run.kind, started, left, run.run


def _expiry(view: RunView, shared: Invocation) -> list[str]:
    if view.run.expires_at is None:
        return []
    from alma.journal import open_journal
    from alma.reports.expiry import now

    with open_journal(shared.where, write=False) as journal:
        said = now(journal, view.run)
    return [f"Expires  {said}"] if said else []


def _undelivered(rows: list[DeliveryRow]) -> list[dict[str, Any]]:
    if not rows:
        return []
    from alma.reports.untold import documents

    return documents(rows)


def _not_told(rows: list[DeliveryRow]) -> list[str]:
    if not rows:
        return []
    from alma.reports.untold import lines

    return lines(rows)


def _given(parameters: Mapping[str, Any]) -> list[str]:
    if not parameters:
        return []
    return [f"Given    {', '.join(f'{name}={value}' for name, value in parameters.items())}"]


def _lines(
    view: RunView,
    following: list[str],
    gone: Mapping[Leftover, str],
    expiry: list[str],
    not_told: list[str],
) -> list[str]:
    from alma.reports import approvals, report, text

    run = view.run
    took = report.seconds(run)
    lines = [
        f"Run      {run.run} ({run.kind})",
        f"Saga     {run.definition.target}",
        *_given(run.parameters),
        f"State    {state(view.state)}",
        f"Started  {text.moment(run.created_at)}"
        + (f", took {text.duration(took)}" if took is not None else "")
        + (f", last heard of {text.moment(run.heard_at)}" if took is None else ""),
    ]
    lines += expiry
    if view.runner is not None:
        process = view.runner.process
        lines.append(
            f"Runner   running now, pid {process.pid} on {process.machine} "
            f"since {text.moment(view.runner.acquired_at)}"
        )
    elif run.served is not None:
        lines.append(f"Driven   {report.driven_by(run.served)}")
    elif run.runner is not None:
        lines.append(f"Ran on   {report.ran_on(run)}")
    if run.parent is not None:
        of = text.name(run.parent.step) + (f"[{run.parent.item}]" if run.parent.item else "")
        lines.append(f"Part of  {run.parent.run}, step {of}")
    if run.left_out:
        lines.append(f"Steps    {report.how_many(run)}; not selected: {report.not_selected(run)}")
    lines += ["", *report.steps(run)]
    for heading, part in (
        ("", approvals.waiting(run)),
        ("", list(report.failures(run))),
        ("Outputs:", report.outputs(run)),
        ("Left behind:", report.leftovers(run.leftovers, gone)),
        ("Not told yet:", not_told),
    ):
        if part:
            lines += ["", *filter(None, [heading]), *part]
    if following:
        lines += ["", "Go on with:", *(f"  {command}" for command in following)]
    return lines
