"""How a command that ran something ends: the report of the run, and its exit code."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from alma.cli.options import Invocation
from alma.cli.output import say, state
from alma.cli.progress import progress
from alma.core.result import Result, SagaEndedError
from alma.core.run import RunStatus, SagaState
from alma.errors import AlmaError
from alma.reports import documents, report, text
from alma.runner.recorder import Reporter
from alma.runner.start import run_sync

_MOST: Final = 20
"""Leftovers that a report names; `status` names all."""


def conduct(shared: Invocation, start: Callable[[Reporter | None], Awaitable[Result]]) -> int:
    """Run it under a display, report how it ended; the exit code."""
    ended: SagaEndedError | None = None
    with progress(shared) as reporter:
        try:
            result = run_sync(lambda: start(reporter))
        except SagaEndedError as error:
            ended, result = error, error.result
    if shared.json:
        shared.print_json(documents.run(result.status, interrupted=result.interrupted))
    if ended is not None and result.interrupted:
        _interrupted(result.status, shared, ended)
    elif ended is not None:
        _failed(result.status, shared)
    elif not shared.json:
        _completed(result.status)
    return result.exit_code


def _completed(run: RunStatus) -> None:
    took = report.seconds(run)
    within = f" in {text.duration(took)}" if took is not None else ""
    done = {"destroy": "destroyed", "restore": "restored"}.get(run.kind, state("COMPLETED"))
    for line in report.steps(run):
        say(line)
    if outputs := report.outputs(run):
        say("Outputs:")
        for line in outputs:
            say(line)
    steps = text.count(len(run.steps), "step")
    say(f"{report.title(run)}: {done}{within}, {steps} (run {run.run})")


def _interrupted(run: RunStatus, shared: Invocation, error: SagaEndedError) -> None:
    say(f"error: {text.plain(error.message)}", err=True)
    say(f"{report.title(run)} is {run.state.value} (interrupted).", err=True)
    # Stopped by something else than a signal: then its own way out comes first.
    own = error.hint if isinstance(error.__cause__, AlmaError) else ""
    say(
        f"hint: {text.plain(own) or report.next_hint(run, shared.journal, interrupted=True)}",
        err=True,
    )


def _failed(run: RunStatus, shared: Invocation) -> None:
    say(f"error: {_sentence(run)}", err=True)
    if not shared.json:
        for line in _details(run, shared):
            say(line, err=True)
    say(f"hint: {report.next_hint(run, shared.journal, interrupted=False)}", err=True)


def _sentence(run: RunStatus) -> str:
    name = f"{report.title(run)} (run {run.run})"
    failed = f'failed at step "{run.failed_step}"' if run.failed_step else "did not complete"
    why = "" if run.failed_step or not run.reason else f" ({text.one_line(run.reason)})"
    if run.state is SagaState.COMPENSATED:
        return f"{name} {failed}{why}; everything it did is verified undone (COMPENSATED)."
    left = text.count(len(run.leftovers), "leftover")
    return f"{name} {failed}{why}; it is FAILED, with {left}."


def _details(run: RunStatus, shared: Invocation) -> list[str]:
    lines = ["", *report.failures(run)]
    if done := report.undone(run):
        lines += ["", "Undone, and verified:", *done]
    if run.leftovers:
        lines += ["", "Left behind:", *report.leftovers(run.leftovers[:_MOST])]
    if (more := len(run.leftovers) - _MOST) > 0:
        lines.append(
            f"  ... and {more} more: `{shared.command_line(f'status {run.run}')}` names all."
        )
    return [*lines, ""] if len(lines) > 1 else []
