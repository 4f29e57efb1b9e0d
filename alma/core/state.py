"""The rule book: how events make a state. Pure; `alma.core.decide` says what follows from it.

`TRANSITIONS` is the whole table of a run's states; `apply` goes through it, so a pair that is
not in it cannot happen. FAILED is the one end that can be taken up again, by somebody who asks:
forward by `resume` where nothing was undone yet, back by `rollback` or `resume`.

A *destroy* or *restore* run goes back from its first event, over all its steps, and ends
COMPLETED or FAILED.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from alma.core import events as ev
from alma.core.definition import Definition
from alma.core.run import OpenOperation, RunStatus, SagaState, StepStatus

PENDING, RUNNING, COMPENSATING = SagaState.PENDING, SagaState.RUNNING, SagaState.COMPENSATING
COMPLETED, FAILED, COMPENSATED = SagaState.COMPLETED, SagaState.FAILED, SagaState.COMPENSATED

TRANSITIONS: Final = {
    PENDING: {RUNNING},
    RUNNING: {COMPENSATING, COMPLETED, FAILED},
    COMPENSATING: {COMPENSATED, FAILED},
    FAILED: {RUNNING, COMPENSATING},
    COMPLETED: frozenset[SagaState](),
    COMPENSATED: frozenset[SagaState](),
}

FORWARD: Final = frozenset({"up", "action"})


class IllegalTransitionError(Exception):
    """An event does not fit the state it was applied to: the journal is not one of alma's."""


def fold(recorded: Iterable[ev.Recorded]) -> RunStatus:
    """The state that these events of one run make; `IllegalTransitionError` if they cannot."""
    run = RunStatus()
    for entry in recorded:
        apply(run, entry)
    return run


def apply(run: RunStatus, entry: ev.Recorded) -> None:
    """Take one more event into the run's state."""
    run.seq, run.epoch = entry.seq, entry.epoch
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


def found_again(evidence: Mapping[str, Any]) -> tuple[ev.ResourceChange, ...]:
    """What a reconciled operation was taking in, or creating: neither is in a state."""
    imported = evidence.get("imported", {}).items()
    cut_off = evidence.get("creating", ())
    return (
        *(ev.ResourceChange(urn=str(urn), op=ev.IMPORTED, id=str(id_)) for urn, id_ in imported),
        *(ev.ResourceChange(urn=str(urn), op=ev.IN_DOUBT) for urn in cut_off),
    )


def _move(run: RunStatus, state: SagaState) -> None:
    if state is run.state:
        return
    if state not in TRANSITIONS[run.state]:
        raise IllegalTransitionError(
            f"run {run.run}: no way from {run.state.name} to {state.name} (event {run.seq})"
        )
    run.state = state


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
    run.direction = "back" if run.backward_only else "forward"
    run.accepted = Definition.from_json(event.definition)
    run.steps = {step.name: StepStatus(definition=step) for step in run.definition.steps}


def _attached(run: RunStatus, entry: ev.Recorded, _event: ev.RunnerAttached) -> None:
    if run.state is PENDING:
        _move(run, RUNNING)
    run.interrupts, run.suspended = 0, False
    for step in run.steps.values():
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
    run.notes = tuple(dict.fromkeys((*run.notes, *(event.notes or ()))))
    over = run.state is FAILED
    run.direction = event.direction
    run.ended_at, run.leftovers = None, ()
    if event.direction == "forward":
        run.failed_step = run.reason = ""
    forward_state = RUNNING if run.backward_only or event.direction == "forward" else None
    if over or event.direction == "back":
        _move(run, forward_state or COMPENSATING)
    if over:
        for step in run.steps.values():
            if step.state is FAILED and not step.skipped:
                step.attempts = step.undo_attempts = 0
                step.retained, step.leftovers = False, ()
                step.state = RUNNING if event.direction == "forward" else COMPENSATING


def _interrupted(run: RunStatus, _entry: ev.Recorded, event: ev.InterruptReceived) -> None:
    run.interrupts = event.count


def _started(run: RunStatus, entry: ev.Recorded, event: ev.StepStarted) -> None:
    step = run.steps[event.step]
    step.started, step.state, step.began_at = event, RUNNING, entry.at


def _intended(run: RunStatus, entry: ev.Recorded, event: ev.OperationIntended) -> None:
    step = run.steps[event.step]
    step.open = OpenOperation(
        id=event.operation,
        kind=event.kind,
        attempt=event.attempt,
        epoch=entry.epoch,
        first=not step.began,
    )
    step.began = True
    step.began_at, step.fingerprint = step.began_at or entry.at, ""
    if event.kind == "mend" or _only_reveals(run, event.kind):
        return
    if event.kind in FORWARD:
        step.attempts, step.state, step.in_doubt = event.attempt, RUNNING, False
        step.operations += 1
    else:
        step.undo_attempts, step.in_doubt = event.attempt, False
        step.state = RUNNING if run.backward_only else COMPENSATING
        step.operations += run.backward_only and event.kind != "remove"
        step.keeps = tuple(dict.fromkeys((*step.keeps, *event.keeps)))


def _spawned(run: RunStatus, _entry: ev.Recorded, event: ev.ProcessSpawned) -> None:
    operation = run.steps[event.step].open
    if operation is not None and operation.id == event.operation:
        operation.processes = (*operation.processes, event.process)


def _close(
    run: RunStatus, entry: ev.Recorded, event: ev.OperationSucceeded | ev.OperationFailed
) -> StepStatus:
    step = run.steps[event.step]
    step.open, step.ended_at = None, entry.at
    step.seconds += event.seconds
    step.fingerprint = str(event.evidence.get("fingerprint", ""))
    step.hidden = (*step.hidden, event.hidden) if event.hidden else step.hidden
    return step


def _succeeded(run: RunStatus, entry: ev.Recorded, event: ev.OperationSucceeded) -> None:
    step = _close(run, entry, event)
    if _only_reveals(run, event.kind):
        return
    if event.kind in FORWARD:
        step.state, step.failure = COMPLETED, None
        step.outputs, step.sealed = event.outputs, event.sealed or ""
        step.given = event.given or ""
        step.unchanged_since = str(event.evidence.get("unchanged_since", ""))
        step.warnings = tuple(map(str, event.evidence.get("warnings", ())))
        step.changes = event.changes
        kept = (*ev.DOUBTFUL, ev.UPDATING, ev.DELETING)
        doubtful = tuple(change for change in step.resources if change.op in kept)
        step.resources = (*doubtful, *event.resources)
        return
    step.destroyed = step.destroyed or event.kind == "destroy"
    step.resources = (*step.resources, *_doubts(event))
    if run.backward_only and event.changes:
        step.changes = event.changes


def _failed(run: RunStatus, entry: ev.Recorded, event: ev.OperationFailed) -> None:
    first = run.steps[event.step].open
    step = _close(run, entry, event)
    if first is not None and event.failure.kind == "timeout":
        step.cut_off = (*step.cut_off, *first.processes)
    if event.kind == "mend" or _only_reveals(run, event.kind):
        return
    if event.kind in FORWARD:
        step.began = event.began is not False or not (first and first.first)
        # In doubt still: nobody could find out what became of it.
        step.unobserved = step.unobserved or event.failure.kind == "worker" or step.in_doubt
        step.failure, step.changes = event.failure, event.changes
        step.resources = (*step.resources, *event.resources)
        if not _may_retry(step.definition.retry.attempts, step.attempts, event.failure):
            step.state = FAILED
            run.failed_step = run.failed_step or event.step
            run.reason = run.reason or event.failure.message
        return
    step.undo_failure, step.leftovers = event.failure, event.leftovers
    step.resources = (*step.resources, *_doubts(event))
    if run.backward_only:
        step.failure = event.failure
        if event.failure.kind == "cancelled":
            return  # By a signal, which suspends the run: it is not over, and goes on from here.
    attempts = step.definition.compensation_retry.attempts
    if not _may_retry(attempts, step.undo_attempts, event.failure):
        step.state = FAILED


def _doubts(event: ev.OperationSucceeded | ev.OperationFailed) -> tuple[ev.ResourceChange, ...]:
    """Creates of a restore that nobody saw the end of: a later one makes them a second time."""
    return tuple(change for change in event.resources if change.op in ev.DOUBTFUL)


def _only_reveals(run: RunStatus, kind: ev.OperationKind) -> bool:
    """Older versions repeated an action in a destroy, for its secrets: that undid nothing."""
    return run.backward_only and kind in FORWARD


def _may_retry(attempts: int, made: int, failure: ev.Failure) -> bool:
    return made < attempts and failure.kind not in ev.NOT_RETRIED


def _left_in_doubt(run: RunStatus, entry: ev.Recorded, event: ev.OperationLeftInDoubt) -> None:
    step = run.steps[event.step]
    step.in_doubt, step.ended_at = True, entry.at


def _reconciled(run: RunStatus, _entry: ev.Recorded, event: ev.OperationReconciled) -> None:
    # in_doubt stays until the next intent: the repeated operation is told that it is one.
    step = run.steps[event.step]
    if step.open is not None:
        step.cut_off = (*step.cut_off, *step.open.processes)
    step.open, step.unobserved = None, True
    step.resources = (*step.resources, *found_again(event.evidence))
    step.hidden = (*step.hidden, event.hidden) if event.hidden else step.hidden
    step.fingerprint = str(event.evidence.get("fingerprint", ""))


def _turned(run: RunStatus, _entry: ev.Recorded, event: ev.CompensationStarted) -> None:
    run.direction = "back"
    run.reason = run.reason or event.reason
    _move(run, COMPENSATING)


def _compensated(run: RunStatus, entry: ev.Recorded, event: ev.StepCompensated) -> None:
    step = run.steps[event.step]
    step.state = COMPLETED if run.backward_only else COMPENSATED
    step.how, step.leftovers, step.ended_at = event.how, (), entry.at
    step.undo_failure, step.in_doubt = None, False
    step.renewed = tuple(
        ev.ResourceChange(urn=str(one.get("urn", "")), op="replace", id=str(one.get("id", "")))
        for one in event.evidence.get("renewed", ())
    )
    if run.backward_only:
        step.failure = None


def _retained(run: RunStatus, entry: ev.Recorded, event: ev.StepRetained) -> None:
    step = run.steps[event.step]
    step.state, step.retained, step.ended_at = FAILED, True, entry.at
    step.leftovers = event.leftovers


def _skipped(run: RunStatus, _entry: ev.Recorded, event: ev.StepSkipped) -> None:
    run.steps[event.step].skipped = True


def _abandoned(run: RunStatus, _entry: ev.Recorded, _event: ev.RunAbandoned) -> None:
    if run.state is PENDING:  # its only runner died before it began: RunFailed follows
        _move(run, RUNNING)


def _ended(state: SagaState) -> Callable[[RunStatus, ev.Recorded, Any], None]:
    def handler(run: RunStatus, entry: ev.Recorded, event: Any) -> None:
        _move(run, state)
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
    ev.RunCreated: _created,
    ev.RunnerAttached: _attached,
    ev.RunResumed: _resumed,
    ev.InterruptReceived: _interrupted,
    ev.StepStarted: _started,
    ev.OperationIntended: _intended,
    ev.ProcessSpawned: _spawned,
    ev.OperationSucceeded: _succeeded,
    ev.OperationFailed: _failed,
    ev.OperationLeftInDoubt: _left_in_doubt,
    ev.OperationReconciled: _reconciled,
    ev.CompensationStarted: _turned,
    ev.StepCompensated: _compensated,
    ev.StepRetained: _retained,
    ev.StepSkipped: _skipped,
    ev.RunAbandoned: _abandoned,
    ev.RunCompleted: _ended(COMPLETED),
    ev.RunCompensated: _ended(COMPENSATED),
    ev.RunFailed: _ended(FAILED),
    ev.RunInterrupted: _suspended,
    ev.ValuesResealed: _resealed,
}
