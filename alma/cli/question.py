"""The question before something begins: asked of a person at a terminal, and of nobody else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, Literal

import click

from alma.cli.options import Invocation
from alma.cli.output import say

if TYPE_CHECKING:
    from alma.runner.preview import SagaPreview
    from alma.runner.settings import Settings
    from alma.saga.saga import Saga

DECLINED: Final = 8
"""`error_handler.CANCELLED`: nothing was begun, by choice."""
PREVIEW_FAILED: Final = 1
"""As of `preview`."""

_ANSWERS: Final = ("yes", "no", "details")

yes_option = click.option(
    "--yes", "-y", is_flag=True, help="Do not ask (it is only asked on a terminal)."
)


def is_asked(shared: Invocation, *, yes: bool) -> bool:
    """Whether there is somebody to ask: a pipeline, and a reader of `--json`, have decided."""
    streams = (sys.stdin, sys.stdout, sys.stderr)
    at_terminal = all(stream is not None and stream.isatty() for stream in streams)
    return at_terminal and not (yes or shared.json)


def agrees(question: str, details: Callable[[], Iterable[str]]) -> bool:
    """Ask until it is yes or no; `details` are shown as often as they are asked for."""
    while True:
        said = click.prompt(f"{question} (yes, no, details)", default="no", err=True)
        answer = str(said).strip().lower()
        found = [word for word in _ANSWERS if word.startswith(answer)]
        if found == ["details"]:
            for line in details():
                say(line)
        elif found:
            if found == ["no"]:
                say("Nothing was begun.", err=True)
            return found == ["yes"]
        else:
            say(f"Answer {', '.join(_ANSWERS[:-1])} or {_ANSWERS[-1]}.", err=True)


# -- of each command that asks -------------------------------------------------------------------


def agrees_to_up(shared: Invocation, saga: Saga, settings: Settings, *, yes: bool) -> bool:
    """Whether an `up` may begin. What is to be refused anyhow is not asked about."""
    from alma.reports import outline
    from alma.runner.start import last_run

    if not is_asked(shared, yes=yes):
        return True
    last, held = last_run(saga, settings)
    if held:
        return True
    _print(outline.up(_look(saga, settings, "up"), last, settings.ttl or saga.ttl))
    question = f"Bring up {saga.target}?"
    return agrees(question, lambda: _whole(saga, settings))


def agrees_to_destroy(
    shared: Invocation, saga: Saga, settings: Settings, *, yes: bool, remove: bool
) -> bool:
    """The same of a `destroy`."""
    from alma.reports import outline
    from alma.runner.start import last_run

    if not is_asked(shared, yes=yes) or last_run(saga, settings)[1]:
        return True
    found = _look(saga, settings, "destroy")
    _print(outline.destroy(found, remove=remove))
    question = f"Destroy {saga.target}?"
    return agrees(question, lambda: outline.destroy_details(found))


def agrees_to_rollback(
    shared: Invocation, reference: str, settings: Settings, *, yes: bool
) -> bool:
    """The same of a `rollback`, of which the journal tells what there is to undo."""
    from alma.core.run import SagaState
    from alma.journal.reading import view_run
    from alma.reports import outline
    from alma.runner.resume import choose_direction

    if not is_asked(shared, yes=yes):
        return True
    with settings.open(write=False) as journal:
        view = view_run(journal, journal.resolve(reference))
    run = view.run
    if run.state in (SagaState.COMPLETED, SagaState.COMPENSATED) or view.driven:
        return True
    choose_direction(run, "back")
    _print(outline.rollback(run))
    return agrees(f"Undo run {run.run}?", lambda: outline.rollback_details(run))


def previewed(shared: Invocation, saga: Saga, settings: Settings) -> bool:
    """Show the full preview; False when a step's has failed."""
    from alma.reports import preview as report

    found = _look(saga, settings, "up", deep=True)
    _print(report.preview(found), err=shared.json)
    _print(report.failures(found), err=True)
    return found.ok


def _look(
    saga: Saga, settings: Settings, kind: Literal["up", "destroy"], *, deep: bool = False
) -> SagaPreview:
    """What is there now, and what would be done to it if `deep`."""
    from alma.runner import run_sync
    from alma.runner.preview import preview

    return run_sync(lambda: preview(saga, settings, kind=kind, deep=deep))


def _whole(saga: Saga, settings: Settings) -> list[str]:
    from alma.reports import preview as report

    found = _look(saga, settings, "up", deep=True)
    return [*report.preview(found), *report.failures(found)]


def _print(lines: Iterable[str], *, err: bool = False) -> None:
    for line in lines:
        say(line, err=err)
