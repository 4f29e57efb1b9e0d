"""An event of a run in a few words, for progress lines and for `history`."""

from __future__ import annotations

from alma.core import events as ev
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


def summarize(event: ev.Event) -> str:  # noqa: C901, PLR0912 - one case an event
    """What happened, on one line, without the step's name."""
    match event:
        case ev.RunCreated():
            steps = len(event.definition.get("steps", ()))
            return f"{event.kind} of {event.saga}/{event.stack}, {text.count(steps, 'step')}"
        case ev.RunnerAttached():
            process = event.process
            return f"driven by {event.actor}, pid {process.pid} on {process.machine}"
        case ev.RunResumed():
            changed = ", with a changed definition" if event.definition is not None else ""
            return f"taken up again, {event.direction}, by {event.actor}{changed}"
        case ev.InterruptReceived():
            return f"{event.signal}: {_interrupt(event.count)}"
        case ev.StepStarted():
            held = f", holding {text.count(event.held, 'resource')}" if event.held else ""
            record = f" on stack {event.project}/{event.stack}{held}" if event.project else ""
            return f"started{record}"
        case ev.OperationIntended():
            attempt = f" (attempt {event.attempt})" if event.attempt > 1 else ""
            return f"{_BEGUN[event.kind]}{attempt}"
        case ev.ProcessSpawned():
            return f"{event.role} is pid {event.process.pid} on {event.process.machine}"
        case ev.SignalSent():
            return f"{event.signal} sent, because of the {event.why}"
        case ev.OperationSucceeded():
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


_QUIET = (ev.RunCreated, ev.RunnerAttached, ev.StepStarted, ev.ProcessSpawned)


def is_progress(event: ev.Event) -> bool:
    """Whether it says something to who watches the run (`history` shows all)."""
    return not isinstance(event, _QUIET)
