"""A run under a display, reported at its end: a live view, plain lines in a pipe, or JSON."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import chdir, contextmanager
from typing import Final

from alma.cli import github
from alma.cli.lines import Lines
from alma.cli.options import Invocation
from alma.cli.output import say, state
from alma.cli.question import is_asked
from alma.cli.reporting import write_reports
from alma.cli.waiting import in_turn
from alma.core.result import Result, SagaEndedError
from alma.core.run import RunStatus, SagaState
from alma.errors import AlmaError
from alma.reports import approvals, documents, report, text
from alma.reports.expiry import expires
from alma.runner import run_sync
from alma.runner.recorder import Reporter

Start = Callable[[Reporter | None], Awaitable[Result]]

_MOST: Final = 20
"""Leftovers that a report names; `status` names all."""
_TAIL: Final = 10
"""Lines of a failed operation's log that a report in a pipe shows: the log may go with the job."""


def run_and_report(
    shared: Invocation,
    start: Start,
    *,
    directory: str = ".",
    go_on: Callable[[str], Start] | None = None,
    then: Callable[[], int] | None = None,
) -> int:
    """Run it in that directory under a display, report how it ended; the exit code.

    Where it waits for an approval, and there is somebody at a terminal, that is waited for here:
    `go_on` takes up the run of that id. `then` is done after a run that has ended well, and says
    the exit code.
    """
    result, ended = run_shown(shared, start, directory=directory)
    tell(shared, result, ended)
    waits = ended is not None and result.interrupted and bool(result.status.waiting)
    if waits and go_on is not None and is_asked(shared, yes=False):
        from alma.cli.approving import answered

        with chdir(directory):
            again = answered(shared, result.status)
        if again:
            start = go_on(result.run_id)
            return run_and_report(shared, start, directory=directory, go_on=go_on, then=then)
    write_reports(shared, result.run_id)
    code = then() if then is not None and result.exit_code == 0 else result.exit_code
    if shared.json:
        told = documents.run(result.status, interrupted=result.interrupted)
        shared.print_json({**told, "exit_code": code})
    return code


def run_shown(
    shared: Invocation, start: Start, *, directory: str = "."
) -> tuple[Result, SagaEndedError | None]:
    """Run it in that directory under a display; how it ended, and the error that said so."""

    def once() -> tuple[Result, SagaEndedError | None]:
        with _display(shared) as reporter:
            try:
                with chdir(directory):
                    return run_sync(lambda: start(reporter)), None
            except SagaEndedError as error:
                return error.result, error

    return in_turn(shared, once)


def tell(shared: Invocation, result: Result, ended: SagaEndedError | None) -> None:
    """How it ended, for people."""
    if ended is not None and result.interrupted:
        _interrupted(result.status, shared, ended)
    elif ended is not None:
        _failed(result.status, shared)
    elif not shared.json:
        _completed(result.status, shared)


# -- displays ----------------------------------------------------------------------------------


@contextmanager
def _display(shared: Invocation) -> Iterator[Reporter | None]:
    """A reporter for as long as the run goes on; the terminal is as before after it."""
    if shared.json:
        yield None
    elif _can_move_its_cursor():
        from alma.cli.live import LiveView

        with LiveView() as view:
            yield view
    else:
        with Lines(groups=github.is_listening()) as lines:
            yield lines


def _can_move_its_cursor() -> bool:
    stream = sys.stdout
    return stream is not None and stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


# -- the report at the end ---------------------------------------------------------------------


def _completed(run: RunStatus, shared: Invocation) -> None:
    took = report.seconds(run)
    within = f" in {text.duration(took)}" if took is not None else ""
    done = {"destroy": "destroyed", "restore": "restored"}.get(run.kind, state("COMPLETED"))
    for line in report.steps(run):
        say(line)
    for line in (*report.renewed(run), *report.warnings(run)):
        say(line)
    if outputs := report.outputs(run):
        say("Outputs:")
        for line in outputs:
            say(line)
    steps = report.how_many(run)
    say(f"{report.title(run)}: {done}{within}, {steps} (run {run.run})")
    if when := expires(run):
        say(f"It {when}: `{shared.command_line('reap')}` destroys it then.")
        for why in _not_reaped(shared, run):
            say(f"warning: {why}, so `reap` will not destroy it.", err=True)


def _not_reaped(shared: Invocation, run: RunStatus) -> tuple[str, ...]:
    """Why what expires will not be taken down, though its run has not ended badly."""
    from alma.journal import open_journal
    from alma.runner.expiring import not_to_be_reaped

    with open_journal(shared.where, write=False) as journal:
        return not_to_be_reaped(journal, run)


def _interrupted(run: RunStatus, shared: Invocation, error: SagaEndedError) -> None:
    if run.waiting:
        say(text.plain(error.message), err=True)
        for line in approvals.waiting(run):
            say(line, err=True)
    else:
        say(f"error: {text.plain(error.message)}", err=True)
        say(f"{report.title(run)} is {run.state.name} (interrupted).", err=True)
    from alma.runner.hosts import if_gone

    # Stopped by something else than a signal: then its own way out comes first.
    own = error.hint if isinstance(error.__cause__, AlmaError) else ""
    onward = report.next_hint(run, shared.journal, interrupted=True) + text.plain(if_gone(run))
    say(f"hint: {text.plain(own) or onward}", err=True)


def _failed(run: RunStatus, shared: Invocation) -> None:
    say(f"error: {_sentence(run)}", err=True)
    if not shared.json:
        for line in _details(run, shared):
            say(line, err=True)
    say(f"hint: {report.next_hint(run, shared.journal, interrupted=False)}", err=True)
    if github.is_listening() and not shared.json:
        _annotate(run)


def _annotate(run: RunStatus) -> None:
    """An annotation for each failure; of a run in which no step failed, for that."""
    found = list(report.told_failures(run))
    for what, message in found or [("", _sentence(run))]:
        github.annotate(f"{report.title(run)}: {what}".removesuffix(": "), message)


def _sentence(run: RunStatus) -> str:
    name = f"{report.title(run)} (run {run.run})"
    failed = f'failed at step "{run.failed_step}"' if run.failed_step else "did not complete"
    why = "" if run.failed_step or not run.reason else f" ({text.one_line(run.reason)})"
    if run.state is SagaState.COMPENSATED:
        return f"{name} {failed}{why}; everything it did is verified undone (COMPENSATED)."
    left = text.count(len(run.leftovers), "leftover")
    return f"{name} {failed}{why}; it is FAILED, with {left}."


def _details(run: RunStatus, shared: Invocation) -> list[str]:
    tail = 0 if _can_move_its_cursor() else _TAIL
    lines = ["", *report.warnings(run), *report.failures(run, tail=tail)]
    if done := report.undone(run):
        lines += ["", "Undone, and verified:", *done[:_MOST]]
        if (more := len(done) - _MOST) > 0:  # why it failed is not to scroll away
            lines.append(f"  ... and {more} more.")
    if run.leftovers:
        lines += ["", "Left behind:", *report.leftovers(run.leftovers[:_MOST])]
    if (more := len(run.leftovers) - _MOST) > 0:
        lines.append(
            f"  ... and {more} more: `{shared.command_line(f'status {run.word}')}` names all."
        )
    return [*lines, ""] if len(lines) > 1 else []
