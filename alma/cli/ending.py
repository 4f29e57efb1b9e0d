"""How a command that ran something ends: the report of the run, and its exit code."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from alma.cli import report, words
from alma.cli.options import Shared
from alma.cli.output import say
from alma.cli.progress import progress
from alma.errors import SagaEndedError
from alma.launch import run_sync
from alma.recorder import Reporter
from alma.result import Result, document
from alma.status import RunStatus, SagaState


def conduct(shared: Shared, start: Callable[[Reporter | None], Awaitable[Result]]) -> int:
    """Run it under a display, report how it ended; the exit code."""
    with progress(shared) as reporter:
        try:
            result = run_sync(lambda: start(reporter))
        except SagaEndedError as error:
            result = error.result
    if shared.json:
        shared.answer(document(result.status, interrupted=result.interrupted))
    if result.state is SagaState.COMPLETED:
        if not shared.json:
            _completed(result.status)
    else:
        _unfinished(result.status, shared, interrupted=result.interrupted)
    return result.exit_code


def _completed(run: RunStatus) -> None:
    took = report.seconds(run)
    within = f" in {words.duration(took)}" if took is not None else ""
    done = "destroyed" if run.kind == "destroy" else words.state("COMPLETED")
    for line in report.steps(run):
        say(line)
    if outputs := report.outputs(run):
        say("Outputs:")
        for line in outputs:
            say(line)
    steps = words.count(len(run.steps), "step")
    say(f"{report.title(run)}: {done}{within}, {steps} (run {run.run})")


def _unfinished(run: RunStatus, shared: Shared, *, interrupted: bool) -> None:
    say(f"error: {_sentence(run, interrupted=interrupted)}", err=True)
    if not shared.json:
        for line in _details(run):
            say(line, err=True)
    hint = report.after_words(run, shared, interrupted=interrupted)
    if hint:
        say(f"hint: {hint}", err=True)


def _sentence(run: RunStatus, *, interrupted: bool) -> str:
    name = f"{report.title(run)} (run {run.run})"
    if interrupted:
        return f"{name} was interrupted: {run.state.value} (interrupted), and can be resumed."
    failed = f'failed at step "{run.failed_step}"' if run.failed_step else "did not complete"
    why = "" if run.failed_step or not run.reason else f" ({words.one_line(run.reason)})"
    if run.state is SagaState.COMPENSATED:
        return f"{name} {failed}{why}; everything it did is verified undone (COMPENSATED)."
    left = words.count(len(run.leftovers), "leftover")
    return f"{name} {failed}{why}; it is FAILED, with {left}."


def _details(run: RunStatus) -> list[str]:
    lines = ["", *report.failures(run)]
    if done := report.undone(run):
        lines += ["", "Undone, and verified:", *done]
    if run.leftovers:
        lines += ["", "Left behind:", *report.leftovers(run.leftovers)]
    return [*lines, ""] if len(lines) > 1 else []
