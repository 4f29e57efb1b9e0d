"""`up --repair`: the drift is shown, it is asked, brought back, and looked at once more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from alma.cli.options import Invocation
from alma.cli.output import say
from alma.cli.question import DECLINED, agrees, is_asked

if TYPE_CHECKING:
    from alma.runner.drift import SagaDrift
    from alma.runner.settings import Settings
    from alma.saga.saga import Saga


def repair(shared: Invocation, saga: Saga, settings: Settings, *, yes: bool) -> int:
    """The exit code: of the run; 0 where nothing has drifted; 12 where something still has."""
    from alma.cli.progress import run_and_report
    from alma.reports import drift as report
    from alma.runner import resume, run_sync
    from alma.runner.drift import drift
    from alma.runner.repair import bring_back, require_repairable

    found = run_sync(lambda: drift(saga, settings=settings))
    for line in report.drift(found):
        say(line, err=shared.json)
    require_repairable(saga, found)
    if not found.drifted:
        if shared.json:
            shared.print_json(report.document(found))
        return 0
    question = f"Bring back {', '.join(step.step for step in found.drifted)}?"
    if is_asked(shared, yes=yes) and not agrees(question, lambda: report.drift(found)):
        return DECLINED
    return run_and_report(
        shared,
        lambda reporter: bring_back(saga, found, replace(settings, reporter=reporter)),
        go_on=lambda run: (
            lambda reporter: resume(run, saga=saga, settings=replace(settings, reporter=reporter))
        ),
        then=lambda: _looked_again(saga, found, settings),
    )


def _looked_again(saga: Saga, before: SagaDrift, settings: Settings) -> int:
    """The exit code. The run is over by then: what cannot be looked at is told beside it."""
    from alma.core.selection import Selection
    from alma.errors import AlmaError
    from alma.reports import drift as report
    from alma.reports import text
    from alma.runner import run_sync
    from alma.runner.drift import drift

    names = tuple(step.step.partition("/")[0] for step in before.drifted)
    looking = replace(settings, selection=Selection(steps=names))
    try:
        again = run_sync(lambda: drift(saga, settings=looking))
    except AlmaError as error:
        say(
            f"error: It was brought up again, but not looked at: {text.plain(error.message)}",
            err=True,
        )
        if error.hint:
            say(f"hint: {text.plain(error.hint)}", err=True)
        return error.exit_code
    if again.exit_code:
        say("It was brought up again, and is still not as it is to be:", err=True)
        for line in (*report.drift(again), *report.failures(again)):
            say(line, err=True)
    return again.exit_code
