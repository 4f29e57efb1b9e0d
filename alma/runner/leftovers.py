"""Naming what is left of a run: of each step that started and is not undone."""

from __future__ import annotations

from collections.abc import Mapping

from alma.core.events import Leftover
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
            left.extend(step.leftovers)
            continue
        if run.kind == "restore":
            left.append(_as_it_is(run, step, reason))
            continue
        why = "not undone: another step that was not undone may still use it"
        if run.direction == "forward" and run.kind == "up":
            why = reason
        if step.undo_failure is not None:
            why = f"its undo failed: {step.undo_failure.message}"
        try:
            left.extend(await adapters[step.name].leftovers(step, why))
        except Exception as error:  # noqa: BLE001 - whoever cannot look at it, it is named
            seen = Outcome.raised(error).failure
            words = f"{why}; its state could not be read: {seen.message if seen else ''}"
            left.append(Leftover(step=step.name, reason=words))
    return tuple(left)


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


def _not_undone(run: RunStatus) -> list[StepStatus]:
    steps = run.steps.values() if run.backward_only else run.started()
    done = SagaState.COMPLETED if run.backward_only else SagaState.COMPENSATED
    return [step for step in steps if step.state is not done]
