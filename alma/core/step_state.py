"""The rule book of a step: what each event of it or its operations makes of its state. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec.structs import replace

from alma.core import events as ev
from alma.core.approval import Approval
from alma.core.run import Child, OpenOperation, RunStatus, StepStatus
from alma.core.transitions import (
    COMPENSATED,
    COMPENSATING,
    COMPLETED,
    FAILED,
    RUNNING,
    IllegalTransitionError,
)

FORWARD: Final = frozenset({"up", "action"})


def found_again(evidence: Mapping[str, Any]) -> tuple[ev.ResourceChange, ...]:
    """What a reconciled operation was taking in, or creating: neither is in a state."""
    imported = evidence.get("imported", {}).items()
    cut_off = evidence.get("creating", ())
    return (
        *(ev.ResourceChange(urn=str(urn), op=ev.IMPORTED, id=str(id_)) for urn, id_ in imported),
        *(ev.ResourceChange(urn=str(urn), op=ev.IN_DOUBT) for urn in cut_off),
    )


def _started(run: RunStatus, entry: ev.Recorded, event: ev.StepStarted) -> None:
    step = run.steps[event.step]
    step.started, step.state, step.began_at = event, RUNNING, entry.at


def _asked(run: RunStatus, entry: ev.Recorded, event: ev.ApprovalAsked) -> None:
    step = run.steps[event.step]
    before, step.waits = step.approval, True
    if before is not None and before.answer is None and before.asked.digest == event.digest:
        step.approval = before.and_asked(event)
    else:
        step.approval = Approval(asked=event, since=entry.at)


def _answered(run: RunStatus, _entry: ev.Recorded, event: ev.ApprovalAnswered) -> None:
    step = run.steps[event.step]
    if step.approval is None:
        raise IllegalTransitionError(f'run {run.run}: nobody was asked about step "{event.step}"')
    step.approval = replace(step.approval, answer=event)


def _child(run: RunStatus, _entry: ev.Recorded, event: ev.ChildStarted) -> None:
    step = run.steps[event.step]
    step.children = {**step.children, event.item: Child(run=event.run, target=event.target)}


def _intended(run: RunStatus, entry: ev.Recorded, event: ev.OperationIntended) -> None:
    step, worker = run.steps[event.step], event.by or run.runner
    if event.by:
        run.gone -= {event.by.host}  # it is there, whatever was said of it
    step.open = OpenOperation(
        id=event.operation,
        kind=event.kind,
        attempt=event.attempt,
        epoch=entry.epoch,
        first=not step.began,
        at=entry.at,
        host=worker.host if worker else "",
        ephemeral=bool(event.by and event.by.ephemeral),
    )
    step.began = True
    if worker is not None and worker.host not in step.hosts:
        step.hosts = (*step.hosts, worker.host)
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
    at_work = event.role != ev.LOOKS
    if operation is not None and operation.id == event.operation and at_work:
        operation.processes = (*operation.processes, event.process)


def _close(
    run: RunStatus, entry: ev.Recorded, event: ev.OperationSucceeded | ev.OperationFailed
) -> StepStatus:
    step = run.steps[event.step]
    if step.open is not None:
        step.ended = (*step.ended, *step.open.processes)
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
        if step.awaiting is None:
            _done(step, event)
        step.state, step.failure, step.awaiting = COMPLETED, None, None
        return
    step.destroyed = step.destroyed or event.kind == "destroy"
    step.resources = (*step.resources, *_doubts(event))
    if run.backward_only and event.changes:
        step.changes = event.changes


def _done(step: StepStatus, event: ev.OperationSucceeded | ev.ReadyAwaited) -> None:
    step.acted = True
    step.outputs, step.sealed = event.outputs, event.sealed or ""
    step.given = event.given or ""
    step.unchanged_since = str(event.evidence.get("unchanged_since", ""))
    step.warnings = tuple(map(str, event.evidence.get("warnings", ())))
    step.changes = event.changes
    kept = (*ev.DOUBTFUL, ev.UPDATING, ev.DELETING)
    doubtful = tuple(change for change in step.resources if change.op in kept)
    step.resources = (*doubtful, *event.resources)


def _awaited(run: RunStatus, _entry: ev.Recorded, event: ev.ReadyAwaited) -> None:
    step = run.steps[event.step]
    _done(step, event)
    step.hidden = (*step.hidden, event.hidden) if event.hidden else step.hidden
    step.awaiting = event


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
        step.awaiting = None
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
    step.in_doubt, step.ended_at, step.waits = True, entry.at, event.waits is True


def _reconciled(run: RunStatus, _entry: ev.Recorded, event: ev.OperationReconciled) -> None:
    # in_doubt stays until the next intent: the repeated operation is told that it is one.
    step = run.steps[event.step]
    if event.by:
        run.gone -= {event.by.host}  # it is there, as whoever begins one
    if step.open is not None:
        step.cut_off = (*step.cut_off, *step.open.processes)
        if step.open.ephemeral and event.by and event.by.host != step.open.host:
            run.gone |= {step.open.host}  # nobody came there, who was waited for
    # Of work that was seen to succeed nothing went on unseen.
    step.open, step.unobserved = None, step.unobserved or step.awaiting is None
    step.resources = (*step.resources, *found_again(event.evidence))
    step.hidden = (*step.hidden, event.hidden) if event.hidden else step.hidden
    step.fingerprint = str(event.evidence.get("fingerprint", ""))


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


STEP_HANDLERS: Final[dict[type[ev.Event], Callable[[RunStatus, ev.Recorded, Any], None]]] = {
    ev.StepStarted: _started,
    ev.ApprovalAsked: _asked,
    ev.ChildStarted: _child,
    ev.ApprovalAnswered: _answered,
    ev.OperationIntended: _intended,
    ev.ProcessSpawned: _spawned,
    ev.ReadyAwaited: _awaited,
    ev.OperationSucceeded: _succeeded,
    ev.OperationFailed: _failed,
    ev.OperationLeftInDoubt: _left_in_doubt,
    ev.OperationReconciled: _reconciled,
    ev.StepCompensated: _compensated,
    ev.StepRetained: _retained,
    ev.StepSkipped: _skipped,
}
