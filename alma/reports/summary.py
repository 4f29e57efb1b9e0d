"""An event of a run in a few words, for progress lines and for `history`."""

from __future__ import annotations

from collections.abc import Sequence

from alma.core import events as ev
from alma.core.approval import either
from alma.core.definition import target_of
from alma.reports import text

_BEGUN = {
    "up": "up started",
    "action": "action started",
    "destroy": "destroy started",
    "restore": "restore started",
    "compensation": "compensation started",
    "mend": "mending its state started",
    "remove": "removing its record",
}
_ENDED = {
    "up": "up completed",
    "action": "action completed",
    "destroy": "destroy completed",
    "restore": "restore completed",
    "compensation": "compensation completed",
    "mend": "state mended",
    "remove": "record removed",
}


_UNDER_WAY = {
    "up": "coming up",
    "action": "at its action",
    "destroy": "being destroyed",
    "restore": "being put back",
    "compensation": "at its compensation",
    "mend": "having its state mended",
    "remove": "having its record removed",
}
_DOING = {
    "create": "creating",
    "create-replacement": "creating, in the place of another,",
    "replace": "replacing",
    "update": "updating",
    "delete": "deleting",
    "delete-replaced": "deleting, as it was replaced,",
    "read": "reading",
    "read-replacement": "reading",
    "refresh": "refreshing",
    "import": "importing",
}


def still(kind: ev.OperationKind, seconds: float, active: Sequence[tuple[str, str, float]]) -> str:
    """`still creating aws:rds:Instance main, 3 min`: of an operation that takes long.

    `active` are the URNs that it is at, what it does to them, and for how many seconds.
    """
    if not active:
        return f"still {_UNDER_WAY[kind]}, {_rounded(seconds)}"
    urn, op, spent = max(active, key=lambda one: one[2])
    more = f", and {len(active) - 1} more" if len(active) > 1 else ""
    return f"still {_DOING.get(op, op)} {text.resource(urn)}, {_rounded(spent)}{more}"


def _rounded(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min" if minutes else f"{rest} s"


def summarize(event: ev.Event) -> str:  # noqa: C901, PLR0912 - one case an event
    """What happened, on one line, without the step's name."""
    match event:
        case ev.RunCreated():
            steps = text.count(len(event.definition.get("steps", ())), "step")
            after = f", as the time of run {event.reaps} is over" if event.reaps else ""
            expires = f", expires {_at(event.expiry)}" if event.expiry else ""
            return f"{event.kind} of {_target(event)}, {steps}{expires}{after}"
        case ev.RunnerAttached():
            process = event.process
            return f"driven by {event.actor}, pid {process.pid} on {process.machine}"
        case ev.RunResumed():
            changed = ", with a changed definition" if event.definition is not None else ""
            why = f": {text.one_line(event.reason)}" if event.reason else ""
            expires = f"; expires {_at(event.expiry)}" if event.expiry else ""
            return f"taken up again, {event.direction}, by {event.actor}{changed}{expires}{why}"
        case ev.RunExtended():
            said = text.one_line(event.reason)
            return f"expires {_at(event.expiry)}, says {event.actor}: {said}"
        case ev.HostDeclaredGone():
            where = event.host.partition("#")[0]
            return f"{where} is gone, says {event.actor}: {text.one_line(event.reason)}"
        case ev.InterruptReceived():
            return f"{event.signal}: {_interrupt(event.count)}"
        case ev.StepStarted():
            held = f", holding {text.count(event.held, 'resource')}" if event.held else ""
            record = f" on stack {event.project}/{event.stack}{held}" if event.project else ""
            why = f": {text.one_line(event.why)}" if event.why else ""
            return f"started{record}{why}"
        case ev.ChildStarted():
            item = f" for {text.name(event.item)}" if event.item else ""
            return f"run {event.run} of {text.name(event.target)}{item} begins as a part of it"
        case ev.ApprovalAsked():
            names = either([text.name(one) for one in event.approvers])
            return f"waiting for approval by {names}, plan {event.digest[:12]}"
        case ev.ApprovalAnswered():
            said = "approved" if event.approved else "refused"
            return f"{said} by {text.name(event.name)}: {text.one_line(event.reason)}"
        case ev.OperationIntended():
            attempt = f" (attempt {event.attempt})" if event.attempt > 1 else ""
            return f"{_BEGUN[event.kind]}{attempt}"
        case ev.ProcessSpawned():
            return f"{event.role} is pid {event.process.pid} on {event.process.machine}"
        case ev.SignalSent():
            return f"{event.signal} sent, because of the {event.why}"
        case ev.ReadyAwaited():
            return f"{_ENDED[event.kind]}; asking whether it is ready"
        case ev.OperationSucceeded():
            if since := event.evidence.get("unchanged_since"):
                return f"left alone: unchanged since run {since}"
            changes = text.changes(event.changes)
            return _ENDED[event.kind] + (f" ({changes})" if changes else "")
        case ev.ValuesResealed():
            return "what it keeps sealed was sealed again, under another key"
        case ev.OperationFailed():
            return f"{event.kind} failed: {text.one_line(event.failure.message)}"
        case ev.OperationLeftInDoubt():
            return f"outcome not known: {text.one_line(event.reason)}"
        case ev.OperationReconciled():
            return f"reconciled: {text.one_line(event.found)}"
        case ev.CompensationStarted():
            return f"undoing everything, because {text.one_line(event.reason)}"
        case ev.StepCompensated():
            return f"undone and verified ({event.how})"
        case ev.StepRetained():
            return f"left as it is: {text.one_line(event.reason)}"
        case ev.StepSkipped():
            return f"skipped by {event.actor}: {text.one_line(event.reason)}"
        case ev.RunAbandoned():
            return f"abandoned by {event.actor}: {text.one_line(event.reason)}"
        case ev.RunCompleted():
            return "COMPLETED"
        case ev.RunCompensated():
            return "COMPENSATED"
        case ev.RunFailed():
            left = text.count(len(event.leftovers), "leftover")
            return f"FAILED, with {left}: {text.one_line(event.reason)}"
        case ev.RunInterrupted():
            return f"interrupted: {text.one_line(event.reason)}"
    return event.type


def _interrupt(count: int) -> str:
    if count > 1:
        return "stopping now"
    return "no new step starts; once more to stop now"


def _at(expiry: ev.Expiry) -> str:
    return text.moment(expiry.moment) if expiry.moment else "never"


def _target(event: ev.RunCreated) -> str:
    return target_of(event.saga, str(event.definition.get("organization", "")), event.stack)


_QUIET = (ev.RunCreated, ev.RunnerAttached, ev.StepStarted, ev.ProcessSpawned)


def is_progress(event: ev.Event) -> bool:
    """Whether it says something to who watches the run (`history` shows all)."""
    return not isinstance(event, _QUIET) or bool(getattr(event, "why", ""))
