"""`alma-pulumi cancel`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from alma.cli.options import Invocation, pass_shared, run_argument, shared_options
from alma.cli.output import say

if TYPE_CHECKING:
    from alma.core.run import RunStatus
    from alma.journal.reading import RunView


@click.command("cancel")
@run_argument
@shared_options
@pass_shared
def command(shared: Invocation, run: str) -> None:
    """Ask the runner of a run to stop, from another terminal, as one Ctrl-C would.

    No new step starts, what is under way ends, then the failure policy applies.
    """
    from alma.runner.cancel import cancel
    from alma.runner.settings import Settings

    view = cancel(run, Settings(journal=shared.journal))
    if shared.json:
        from alma.reports import documents

        shared.print_json(documents.run(view.run, interrupted=view.interrupted))
        return
    for line in _lines(view):
        say(line)
    say(f"See `{shared.command_line(f'status {view.run.word}')}`.")


def _lines(view: RunView) -> list[str]:
    from alma.reports.report import title

    run = view.run
    name = f"{title(run)} (run {run.run})"
    if view.runner is None and run.served is None:
        return [f"{name} has ended: {view.state}."]
    if run.direction == "back" and not run.backward_only:
        return [f"{name} was asked to stop, and is being undone."]
    lines = [
        f"{name} was asked to stop: no new step starts, and what is under way ends.",
        _then(run),
    ]
    if run.served is not None:
        lines.append("If Temporal has lost it, nobody hears that: `rollback` undoes it then.")
    return lines


def _then(run: RunStatus) -> str:
    if run.backward_only or run.past_pivot:
        return "Then it stops there, and can be resumed."
    if run.definition.on_failure == "stop":
        return "Then it ends, and all is left as it is: on_failure is stop."
    return "Then all that it has started is undone."
