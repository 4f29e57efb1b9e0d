"""Notices: of which events somebody is told, and who. Pure; `alma.runner.notices` tells them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from alma.core import events as ev
from alma.core.event_parts import Notifier
from alma.core.run import RunStatus
from alma.core.secret import Secret

KINDS: Final[Mapping[str, str]] = {
    "started": "a run has begun",
    "expired": "the time of what a run brought up is over, and it is being taken down",
    "resumed": "somebody has taken a run up again",
    "waiting": "a run waits for an approval",
    "approved": "somebody has approved what it waited for",
    "refused": "somebody has refused it",
    "compensating": "a run turns back: what it did is being undone",
    "interrupted": "a runner stopped, or died, before its run was over",
    "completed": "a run has ended COMPLETED",
    "compensated": "a run has ended COMPENSATED: it failed, and nothing of it is left",
    "failed": "a run has ended FAILED: something is left",
}
"""Each notice, and when it is sent."""

TROUBLE: Final = ("waiting", "compensating", "interrupted", "compensated", "failed")
"""What a person may have to look at: sent where nothing else is asked for."""

_ENDS: Final[Mapping[type[ev.Event], str]] = {
    ev.RunCreated: "started",
    ev.RunResumed: "resumed",
    ev.CompensationStarted: "compensating",
    ev.RunCompleted: "completed",
    ev.RunCompensated: "compensated",
    ev.RunFailed: "failed",
}


def notice_of(run: RunStatus, entry: ev.Recorded) -> str:
    """What the event gives notice of, or nothing; `run` is the state after it."""
    event = entry.event
    match event:
        case ev.ApprovalAsked():
            approval = run.steps[event.step].approval
            # A runner that comes back asks again: it is told once.
            return "waiting" if approval is not None and approval.since == entry.at else ""
        case ev.ApprovalAnswered():
            return "approved" if event.approved else "refused"
        case ev.RunInterrupted():
            return "" if run.waiting else "interrupted"
        case _:
            return _ENDS.get(type(event), "")


def may_be_due(run: RunStatus, event: ev.Event) -> bool:
    """Whether `due` may find any for an event, by the state before it."""
    others = (ev.ApprovalAsked, ev.ApprovalAnswered, ev.RunInterrupted)
    return bool(run.notify) and (type(event) in _ENDS or isinstance(event, others))


def due(run: RunStatus, entry: ev.Recorded) -> tuple[tuple[str, str], ...]:
    """The notices that are owed for an event, each a notifier's name and what it is told."""
    if not run.notify:
        return ()
    notices = [notice_of(run, entry)]
    if isinstance(entry.event, ev.RunCreated) and run.reaps:
        notices.append("expired")
    return tuple((one.name, notice) for one in run.notify for notice in notices if notice in one.on)


PREFIX: Final = "whsec_"
"""What stands before a key by custom: without it, it is as secret."""


def secrets_of(
    notifiers: Iterable[Notifier],
    environ: Mapping[str, str],
    held: Iterable[Mapping[str, Secret]] = (),
) -> list[Secret]:
    """What must be seen nowhere: what their variables hold, and what the saga was given."""
    names = (
        str(value)
        for one in notifiers
        for name, value in one.settings.items()
        if name.endswith("_env")
    )
    found = [Secret(environ.get(name, "")) for name in names]
    found += [secret for each in held for secret in each.values()]
    whole = (one.value for one in found if isinstance(one.value, str))
    return [*found, *(Secret(text.strip().removeprefix(PREFIX)) for text in whole)]


def named(notifiers: Iterable[Notifier]) -> dict[str, Notifier]:
    """By their names."""
    return {one.name: one for one in notifiers}


def sentence(run: RunStatus, notice: str, event: ev.Event) -> str:
    """The notice for people, in a line."""
    target, what = run.definition.target, {"up": "", "destroy": " destroy", "restore": " restore"}
    name = f"{target}{what[run.kind]}"
    words = {
        "started": f"{name} has begun",
        "expired": f"{name} has begun: the time of run {run.reaps} is over",
        "resumed": f"{name} goes on",
        "compensating": f"{name} failed and is being undone: {run.reason}",
        "interrupted": f"{name} was interrupted",
        "completed": f"{name} is COMPLETED",
        "compensated": f"{name} is COMPENSATED, nothing is left: {run.reason}",
        "failed": f"{name} is FAILED, {len(run.leftovers)} left behind: {run.reason}",
    }
    if isinstance(event, ev.ApprovalAsked):
        return f'{name} waits for approval of "{event.step}" by {", ".join(event.approvers)}'
    if isinstance(event, ev.ApprovalAnswered):
        return f'{name}: {event.name} has {notice} "{event.step}": {event.reason}'
    return words[notice].removesuffix(": ")
