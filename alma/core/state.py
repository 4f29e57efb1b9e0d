"""The rule book: how events make a state. Pure; `alma.core.decide` says what follows from it.

`apply` goes through the table of a run's states (`alma.core.transitions`) and knows what is told
of a run; what is told of one of its steps knows `alma.core.step_state`. FAILED is the one end
that can be taken up again, by somebody who asks: forward by `resume` where nothing was undone
yet, back by `rollback` or `resume`.

A *destroy* or *restore* run goes back from its first event, over all its steps, and ends
COMPLETED or FAILED.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from msgspec.structs import replace

from alma.core import events as ev
from alma.core.definition import Definition
from alma.core.run import RunStatus, SagaState, StepStatus
from alma.core.step_state import STEP_HANDLERS
from alma.core.transitions import (
    COMPENSATED,
    COMPENSATING,
    COMPLETED,
    FAILED,
    PENDING,
    RUNNING,
    move,
)


def fold(recorded: Iterable[ev.Recorded]) -> RunStatus:
    """The state that these events of one run make; `IllegalTransitionError` if they cannot."""
    run = RunStatus()
    for entry in recorded:
        apply(run, entry)
    return run


def apply(run: RunStatus, entry: ev.Recorded) -> None:
    """Take one more event into the run's state."""
    run.seq, run.epoch, run.heard_at = entry.seq, entry.epoch, entry.at
    handler = _HANDLERS.get(type(entry.event))
    if handler is not None:
        handler(run, entry, entry.event)
    if run.ready_set is not None:
        if entry.event.step:
            run.ready_set.update(run.steps[entry.event.step])
        else:
            run.ready_set = (
                None  # It may have changed any of them, and comes once or twice in a run.
            )


def uncover(step: StepStatus, hidden: Iterable[tuple[str, str, str, str, str]]) -> None:
    """Give resources their true names: each with op, URN and id as shown, then as they are."""
    true = {
        (op, urn, id_): ev.ResourceChange(urn=true_urn, op=op, id=true_id)
        for op, urn, id_, true_urn, true_id in hidden
    }
    step.resources = tuple(true.get((one.op, one.urn, one.id), one) for one in step.resources)


def _created(run: RunStatus, entry: ev.Recorded, event: ev.RunCreated) -> None:
    run.run, run.kind, run.created_at = entry.run, event.kind, entry.at
    run.backend, run.origin = event.backend, event.origin
    run.directory = event.directory or ""
    run.remove_records, run.snapshot = event.remove_records, event.snapshot
    run.sealed = event.sealed or ""
    run.python = event.versions.get("python", "")
    run.localstack = event.versions.get("localstack", "")
    run.notes = event.notes or ()
    run.parameters, run.overrides = event.parameters or {}, event.overrides or {}
    run.left_out, run.changed = event.left_out or (), event.changed is True
    run.repairs = event.repairs or {}
    run.parent = event.parent or None
    run.reaps = event.reaps or ""
    _expire(run, event.expiry or None)
    run.notify = event.notify or ()
    run.direction = "back" if run.backward_only else "forward"
    run.accepted = Definition.from_json(event.definition)
    run.steps = {step.name: StepStatus(definition=step) for step in run.definition.steps}


def _attached(run: RunStatus, entry: ev.Recorded, event: ev.RunnerAttached) -> None:
    if run.state is PENDING:
        move(run, RUNNING)
    before, run.runner = run.runner, event.process
    if before is not None and before.ephemeral and before.host != run.runner.host:
        # Of many that share a run each says it of itself, with its operations.
        run.gone |= set() if run.workflow else {before.host}
    run.workflow = event.workflow or None
    run.interrupts, run.suspended = 0, False
    for step in run.steps.values():
        step.waits = False
        if step.open is not None and step.open.epoch < entry.epoch:
            step.in_doubt = True


def _resumed(run: RunStatus, _entry: ev.Recorded, event: ev.RunResumed) -> None:
    if event.definition is not None:
        run.accepted = Definition.from_json(event.definition)
        known = run.steps
        run.steps = {}
        for definition in run.definition.steps:
            step = known.get(definition.name) or StepStatus(definition=definition)
            step.definition = definition
            run.steps[definition.name] = step
    run.sealed = event.sealed or run.sealed
    run.notify = event.notify if isinstance(event.notify, tuple) else run.notify
    run.notes = tuple(dict.fromkeys((*run.notes, *(event.notes or ()))))
    _expire(run, event.expiry or run.expiry)
    over = run.state is FAILED
    run.direction = event.direction
    run.ended_at, run.leftovers = None, ()
    if event.direction == "forward":
        run.failed_step = run.reason = ""
    forward_state = RUNNING if run.backward_only or event.direction == "forward" else None
    if over or event.direction == "back":
        move(run, forward_state or COMPENSATING)
    if over:
        for step in run.steps.values():
            if step.state is FAILED and not step.skipped:
                step.attempts = step.undo_attempts = 0
                step.retained, step.leftovers, step.approval = False, (), None
                step.state = RUNNING if event.direction == "forward" else COMPENSATING


def _extended(run: RunStatus, _entry: ev.Recorded, event: ev.RunExtended) -> None:
    _expire(run, event.expiry)


def _expire(run: RunStatus, expiry: ev.Expiry | None) -> None:
    """Once somebody has taken in what was there before, that is so."""
    if expiry is not None:
        expiry.moment  # noqa: B018 - what is no time is refused here
        taken = run.expiry is not None and run.expiry.existing
        run.expiry = replace(expiry, existing=expiry.existing or taken)


def _gone(run: RunStatus, _entry: ev.Recorded, event: ev.HostDeclaredGone) -> None:
    run.gone |= {event.host}


def _interrupted(run: RunStatus, _entry: ev.Recorded, event: ev.InterruptReceived) -> None:
    run.interrupts = event.count


def _turned(run: RunStatus, _entry: ev.Recorded, event: ev.CompensationStarted) -> None:
    run.direction = "back"
    run.reason = run.reason or event.reason
    move(run, COMPENSATING)


def _abandoned(run: RunStatus, _entry: ev.Recorded, _event: ev.RunAbandoned) -> None:
    if run.state is PENDING:  # its only runner died before it began: RunFailed follows
        move(run, RUNNING)


def _ended(state: SagaState) -> Callable[[RunStatus, ev.Recorded, Any], None]:
    def handler(run: RunStatus, entry: ev.Recorded, event: Any) -> None:
        move(run, state)
        run.ended_at = entry.at
        if isinstance(event, ev.RunFailed):
            run.leftovers, run.reason = event.leftovers, run.reason or event.reason

    return handler


def _resealed(run: RunStatus, _entry: ev.Recorded, event: ev.ValuesResealed) -> None:
    run.sealed = event.sealed or run.sealed
    for name, sealed in event.outputs.items():
        run.steps[name].sealed = sealed
    for name, tokens in (event.hidden or {}).items():
        run.steps[name].hidden = tokens


def _suspended(run: RunStatus, _entry: ev.Recorded, _event: ev.RunInterrupted) -> None:
    run.suspended = True


_HANDLERS: Final[dict[type[ev.Event], Callable[[RunStatus, ev.Recorded, Any], None]]] = {
    **STEP_HANDLERS,
    ev.RunCreated: _created,
    ev.RunnerAttached: _attached,
    ev.RunResumed: _resumed,
    ev.RunExtended: _extended,
    ev.HostDeclaredGone: _gone,
    ev.InterruptReceived: _interrupted,
    ev.CompensationStarted: _turned,
    ev.RunAbandoned: _abandoned,
    ev.RunCompleted: _ended(COMPLETED),
    ev.RunCompensated: _ended(COMPENSATED),
    ev.RunFailed: _ended(FAILED),
    ev.RunInterrupted: _suspended,
    ev.ValuesResealed: _resealed,
}
