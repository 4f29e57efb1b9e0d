"""`up --repair`: the drift is shown, it is asked, brought back, and looked at once more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from alma.cli.options import Invocation
from alma.cli.output import say
from alma.cli.question import DECLINED, agrees, is_asked

if TYPE_CHECKING:
    from alma.runner.settings import Settings
    from alma.saga.saga import Saga


def repair(shared: Invocation, saga: Saga, settings: Settings, *, yes: bool) -> int:
    """The exit code: of the run; 0 where nothing has drifted; 12 where something still has."""
    from alma.cli.progress import run_and_report
    from alma.core.selection import Selection
    from alma.reports import drift as report
    from alma.runner import resume, run_sync
    from alma.runner.drift import drift
    from alma.runner.repair import bring_back, require_repairable

    found = run_sync(lambda: drift(saga, settings=settings))
    if shared.json and not found.drifted:
        shared.print_json(report.document(found))
    for line in report.drift(found):
        say(line, err=shared.json)
    require_repairable(saga, found)
    if not found.drifted:
        return 0
    question = f"Bring back {', '.join(step.step for step in found.drifted)}?"
    if is_asked(shared, yes=yes) and not agrees(question, lambda: report.drift(found)):
        return DECLINED
    code = run_and_report(
        shared,
        lambda reporter: bring_back(saga, found, replace(settings, reporter=reporter)),
        go_on=lambda run: (
            lambda reporter: resume(run, saga=saga, settings=replace(settings, reporter=reporter))
        ),
    )
    if code != 0:
        return code
    names = tuple(step.step.partition("/")[0] for step in found.drifted)
    looking = replace(settings, selection=Selection(steps=names))
    again = run_sync(lambda: drift(saga, settings=looking))
    if again.exit_code:
        say("It was brought up again, and is still not as it is to be:", err=True)
        for line in (*report.drift(again), *report.failures(again)):
            say(line, err=True)
    return again.exit_code
