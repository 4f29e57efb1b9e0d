"""`alma-pulumi status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from alma.cli import words
from alma.cli.options import Shared, pass_shared, shared_options
from alma.cli.output import say

if TYPE_CHECKING:
    from alma.view import View


@click.command("status")
@click.argument("run", default="latest")
@shared_options
@pass_shared
def command(shared: Shared, run: str) -> None:
    """Show how a run stands: its steps, outputs, leftovers, and how to go on.

    RUN is by default the latest.
    """
    from alma.view import look

    view = look(shared.journal_path, run)
    if shared.json:
        shared.answer(_document(view, shared))
        return
    for line in _lines(view, shared):
        say(line)


def _document(view: View, shared: Shared) -> dict[str, Any]:
    from alma.cli.report import ways_on
    from alma.result import document

    runner = view.runner
    return {
        **document(view.run, interrupted=view.interrupted),
        "runner": runner
        and {
            "pid": runner.process.pid,
            "host": runner.process.host,
            "actor": runner.actor,
            "since": runner.acquired_at.isoformat(),
        },
        "next": [] if runner else ways_on(view.run, shared, interrupted=view.interrupted),
    }


def _lines(view: View, shared: Shared) -> list[str]:
    from alma.cli import report

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
        ("Left behind:", report.leftovers(run.leftovers)),
    ):
        if part:
            lines += ["", *filter(None, [heading]), *part]
    on = [] if view.runner else report.ways_on(run, shared, interrupted=view.interrupted)
    if on:
        lines += ["", "Go on with:", *(f"  {command}" for command in on)]
    return lines
