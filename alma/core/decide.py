"""What is to be done in a state. Pure, no I/O.

A run goes *forward* until a step has failed for good or a signal came. Then no step starts
any more, what is under way ends, and the failure policy decides:

- `compensate`: the run turns *back*. Every step that started is undone, the failed one first,
  then in reverse topological order; a step waits for all that depends on it. A failed undo
  holds up what it depends on (that is still in use) and nothing else, unless an operator lets
  the undo go past it (`skip`): then it is never counted as undone. An action without any
  compensation is named as well, and holds up nothing.
- `stop`, or a completed pivot: it ends FAILED with everything left as it is.

- A run that has nothing to do any more but to wait for an approval stops there, resumable. People
  are asked last, when all that need not wait for them has ended: what they approve is whole then,
  and nothing is under way that could fail behind their backs.

An operation whose intent stands in the journal without an outcome, written by an earlier
runner, is *in doubt*: it is reconciled first, then repeated in the direction of the run.
"""

from __future__ import annotations

from dataclasses import dataclass

from alma.core.approval import either
from alma.core.run import ReadySet, RunStatus, SagaState, StepStatus
from alma.core.transitions import COMPENSATED, COMPLETED, FAILED, PENDING, RUNNING


@dataclass(frozen=True, slots=True)
class Execute:
    """Run the step's action; wait `delay` seconds first."""

    step: str
    attempt: int
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Compensate:
    """Undo the step and verify it; wait `delay` seconds first."""

    step: str
    attempt: int
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Reconcile:
    """Find out what became of the step's operation in doubt."""

    step: str


@dataclass(frozen=True, slots=True)
class StartCompensation:
    """Record that the run turns back."""

    reason: str
    failed_step: str = ""


@dataclass(frozen=True, slots=True)
class Finish:
    """Record the end."""

    state: SagaState
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Suspend:
    """Stop here: resumable."""

    reason: str


Command = Execute | Compensate | Reconcile | StartCompensation | Finish | Suspend


def decide(run: RunStatus, busy: frozenset[str] = frozenset()) -> tuple[Command, ...]:
    """What to do now, in order. `busy` are the steps that something is being done about.

    Deterministic. An empty answer means: wait for what is busy, or the run is over.
    """
    if run.state.is_final:
        return ()
    run.ready_set = ready_set = run.ready_set or ReadySet(run)
    if ready_set.doubtful:
        doubtful = (name for name in run.steps if name in ready_set.doubtful)
        return tuple(Reconcile(name) for name in doubtful if name not in busy)
    if run.interrupts and run.backward_only:
        return () if busy else (Suspend("interrupted by a signal"),)
    return _forward(run, ready_set, busy) if run.direction == "forward" else _back(run, busy)


def is_due(run: RunStatus, command: Execute | Compensate | Reconcile) -> bool:
    """Whether a command that was decided on before is still to be done.

    Of who asks twice, since the first answer was lost, the second one hears that it is not.
    """
    step = run.steps[command.step]
    if run.state.is_final or run.suspended:
        return False
    if isinstance(command, Reconcile):
        return step.open is not None and step.in_doubt
    if step.open is not None:
        return False
    if isinstance(command, Execute):
        again, made = step.in_doubt, step.attempts
        may = run.direction == "forward" and not run.interrupts and step.state in (PENDING, RUNNING)
    else:
        again, made = step.in_doubt, step.undo_attempts
        done = COMPLETED if run.backward_only else COMPENSATED
        may = run.direction == "back" and step.state is not done and not step.skipped
    return may and command.attempt == (max(made, 1) if again else made + 1)


def _forward(run: RunStatus, ready_set: ReadySet, busy: frozenset[str]) -> tuple[Command, ...]:
    if not ready_set.ready:
        return (Finish(COMPLETED),)
    if not ready_set.failed and not run.interrupts:
        commands = _starts(run, ready_set, busy)
        return commands if commands or busy else _wait(run)
    if busy:
        return ()
    name = next((name for name in run.steps if name in ready_set.failed), "")
    reason = f'step "{name}" failed' if name else "interrupted by a signal"
    if run.past_pivot and not name:
        return (Suspend(f"{reason} past the point of no return: it can only be resumed"),)
    if run.past_pivot:
        return (Finish(FAILED, f"{reason} past the point of no return"),)
    if run.definition.on_failure == "stop":
        return (Finish(FAILED, f"{reason}; on_failure is stop: all is left as it is"),)
    return (StartCompensation(reason, name),)


def _starts(run: RunStatus, ready_set: ReadySet, busy: frozenset[str]) -> tuple[Command, ...]:
    free = run.definition.parallelism - len(busy)
    commands: list[Command] = []
    asking: list[Command] = []
    for name in (ready_set.order[place] for place in ready_set.ready):
        step = run.steps[name]
        if len(commands) >= free:
            break
        if name in busy or step.waits or step.state not in (PENDING, RUNNING):
            continue
        attempt = max(step.attempts, 1) if step.in_doubt else step.attempts + 1
        delay = 0.0 if step.in_doubt else step.definition.retry.wait_before(attempt)
        last = asking if step.definition.approvers else commands
        last.append(Execute(name, attempt, delay))
    return tuple(commands if commands or busy else asking[:free])


def _wait(run: RunStatus) -> tuple[Command, ...]:
    asked = ((step.name, either(step.definition.approvers or ())) for step in run.waiting)
    waited = [f'of "{name}" by {names}' for name, names in asked]
    inside = [step.name for step in run.steps.values() if step.waits and step.open is not None]
    waited += [f'within "{name}"' for name in inside]
    return (Suspend(f"waiting for approval {', '.join(waited)}"),) if waited else ()


def _opaque(step: StepStatus) -> bool:
    """An action that nobody said how to undo is named, but what it uses need not wait for it."""
    return step.retained and step.definition.compensation == "none"


def _back(run: RunStatus, busy: frozenset[str]) -> tuple[Command, ...]:
    done = COMPLETED if run.backward_only else COMPENSATED
    scope = {
        step.name: step
        for step in run.steps.values()
        if run.backward_only or step.started is not None
    }
    order = [name for name in reversed(run.definition.order) if name in scope]
    order.sort(key=lambda name: name != run.failed_step)
    commands: list[Command] = []
    for name in order:
        step = scope[name]
        if name in busy or step.state is done:
            continue
        if step.skipped or (step.state is FAILED and (step.undo_attempts or step.retained)):
            continue
        dependents = [scope[other] for other in run.definition.dependents(name) if other in scope]
        if all(other.state is done or other.skipped or _opaque(other) for other in dependents):
            attempt = max(step.undo_attempts, 1) if step.in_doubt else step.undo_attempts + 1
            delay = step.definition.compensation_retry.wait_before(attempt)
            commands.append(Compensate(name, attempt, 0.0 if step.in_doubt else delay))
    if commands or busy:
        return tuple(commands[: run.definition.parallelism - len(busy)])
    left = [name for name in order if scope[name].state is not done]
    if left:
        return (Finish(FAILED, f"not undone: {', '.join(left)}"),)
    return (Finish(done),)
