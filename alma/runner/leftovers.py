"""Naming what is left of a run: of each step that started and is not undone."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from alma.core.events import Failure, Leftover
from alma.core.run import RunStatus, SagaState, StepStatus
from alma.steps.base import Outcome, StepHandler


async def name_leftovers(
    run: RunStatus, adapters: Mapping[str, StepHandler], reason: str
) -> tuple[Leftover, ...]:
    """Look once more at every such step; one that cannot be looked at is named for that.

    `reason` is why a run that never turned back leaves its steps as they are.
    """
    left: list[Leftover] = []
    for step in _not_undone(run):
        left.extend(still_running(run, step, reason))
        if step.retained or step.leftovers:
            left.extend(_own_reason(each, step.undo_failure) for each in step.leftovers)
            continue
        if run.kind == "restore":
            left.append(_as_it_is(run, step, reason))
            continue
        users = (s.name for s in _not_undone(run) if step.name in s.definition.dependencies)
        user = next(users, "")
        why = f'not undone: step "{user}" is not undone and may still use it'
        if not user:
            why = "not undone: another step that was not undone may still use it"
        if run.direction == "forward" and run.kind == "up":
            why = reason
        if step.undo_failure is not None:
            why = f"its undo failed: {step.undo_failure.message}"
        try:
            found = await adapters[step.name].leftovers(step, why)
            left.extend(_own_reason(each, step.undo_failure) for each in found)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - who cannot look at it names it
            seen = Outcome.raised(error).failure
            words = f"{why}; its state could not be read: {seen.message if seen else ''}"
            left.append(Leftover(step=step.name, reason=words))
    return tuple(left)


def _own_reason(left: Leftover, failure: Failure | None) -> Leftover:
    """What a provider said of one resource is no reason why another one is still there."""
    if failure is None or not failure.urn or not left.urn or left.urn == failure.urn:
        return left
    if failure.message not in left.reason:
        return left
    other = failure.urn.split("::", 3)[-1]
    return replace(left, reason=f"still there: the undo of its step failed at {other}")


def still_running(run: RunStatus, step: StepStatus, reason: str) -> tuple[Leftover, ...]:
    """An operation without an outcome, where nobody waited for it: its CLI may still be at work."""
    if step.open is None:
        return ()
    project = step.definition.project
    return (
        Leftover(
            step=step.name,
            stack=f"{project}/{run.definition.stack}" if project else "",
            reason=f"its {step.open.kind} was cut off and may still be at work; {reason}",
        ),
    )


def _as_it_is(run: RunStatus, step: StepStatus, reason: str) -> Leftover:
    """What is in the stack of a restore was there before it, so it is no leftover of its own."""
    why = step.undo_failure.message if step.undo_failure else reason
    stack = f"{step.definition.project}/{run.definition.stack}"
    return Leftover(step=step.name, stack=stack, reason=f"it was not put back: {why}")


def _begun(run: RunStatus) -> list[StepStatus]:
    return [step for step in run.started() if step.began]


def _not_undone(run: RunStatus) -> list[StepStatus]:
    steps = run.steps.values() if run.backward_only else _begun(run)
    done = SagaState.COMPLETED if run.backward_only else SagaState.COMPENSATED
    return [step for step in steps if step.state is not done]
