"""`alma-pulumi status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from alma.cli.options import Invocation, pass_shared, shared_options
from alma.cli.output import say
from alma.reports import text as words

if TYPE_CHECKING:
    from alma.core.events import Leftover
    from alma.journal.reading import RunView


@click.command("status")
@click.argument("run", default="latest")
@shared_options
@pass_shared
def command(shared: Invocation, run: str) -> None:
    """Show how a run stands: its steps, outputs, leftovers, and how to go on.

    RUN is by default the latest.
    """
    from alma.journal.reading import look

    view = look(shared.journal_path, run)
    gone = _gone(view, shared)
    if shared.json:
        shared.answer(_document(view, shared, gone))
        return
    for line in _lines(view, shared, gone):
        say(line)


def _gone(view: RunView, shared: Invocation) -> dict[Leftover, str]:
    """Which leftovers a later run has proven gone; only a run that has any is looked into."""
    if not view.run.leftovers:
        return {}
    from alma.journal.journal import Journal
    from alma.journal.leftovers import proven_gone

    with Journal.open(shared.journal_path, write=False) as journal:
        return proven_gone(journal, view.run)


def _document(view: RunView, shared: Invocation, gone: dict[Leftover, str]) -> dict[str, Any]:
    from alma.core.result import document
    from alma.reports.report import ways_on

    runner = view.runner
    described = document(view.run, interrupted=view.interrupted)
    for left, entry in zip(view.run.leftovers, described["leftovers"], strict=True):
        entry["gone_by"] = gone.get(left)
    return {
        **described,
        "runner": runner
        and {
            "pid": runner.process.pid,
            "host": runner.process.host,
            "actor": runner.actor,
            "since": runner.acquired_at.isoformat(),
        },
        "next": [] if runner else ways_on(view.run, shared, interrupted=view.interrupted),
    }


def _lines(view: RunView, shared: Invocation, gone: dict[Leftover, str]) -> list[str]:
    from alma.reports import report

    run = view.run
    took = report.seconds(run)
    lines = [
        f"Run      {run.run} ({run.kind})",
        f"Saga     {run.plan.target}",
        f"State    {words.state(view.state)}",
        f"Started  {words.moment(run.created_at)}"
        + (f", took {words.duration(took)}" if took is not None else ""),
    ]
    if view.runner is not None:
        process = view.runner.process
        lines.append(
            f"Runner   running now, pid {process.pid} on {process.host} "
            f"since {words.moment(view.runner.acquired_at)}"
        )
    lines += ["", *report.steps(run)]
    for heading, part in (
        ("", list(report.failures(run))),
        ("Outputs:", report.outputs(run)),
        ("Left behind:", report.leftovers(run.leftovers, gone)),
    ):
        if part:
            lines += ["", *filter(None, [heading]), *part]
    on = [] if view.runner else report.ways_on(run, shared, interrupted=view.interrupted)
    if on:
        lines += ["", "Go on with:", *(f"  {command}" for command in on)]
    return lines
