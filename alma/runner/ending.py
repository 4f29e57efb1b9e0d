"""How a run is told to whoever asked for it: a result, or an error that carries it."""

from __future__ import annotations

from collections.abc import Mapping

from alma.core import events as ev
from alma.core.result import Result, SagaFailed, SagaInterrupted
from alma.core.run import RunStatus, SagaState


def conclude(run: RunStatus, result: Result, causes: Mapping[str, BaseException]) -> Result:
    """The result of a COMPLETED run; otherwise the error that carries it."""
    if result.state is SagaState.COMPLETED:
        return result
    name = f'Saga "{run.plan.saga}" (run {run.run})'
    cause = causes.get(result.failed_step) or (
        StepError(result.failed_step, result.error) if result.error else None
    )
    if result.interrupted:
        raise SagaInterrupted(
            f"{name} was interrupted while {run.state.name}.",
            result,
            hint=way_on(run),
        ) from cause
    why = result.error.message if result.error else run.reason
    failed = (
        f'{name} failed at step "{result.failed_step}": {why}'
        if result.failed_step
        else (f"{name} ended: {why}")
    )
    if not failed.endswith((".", "!", "?")):
        failed += "."  # what a program or a provider said need not end as a sentence does
    if result.state is SagaState.COMPENSATED:
        raise SagaFailed(f"{failed} Everything it did is verified undone.", result) from cause
    raise SagaFailed(
        f"{failed} {len(result.leftovers)} leftovers remain.",
        result,
        hint=f"`alma-pulumi status {run.run}` names them.",
    ) from cause


def way_on(run: RunStatus) -> str:
    """How an interrupted run goes on, in one sentence."""
    undo = "" if run.backward_only else f", or undo it with `alma-pulumi rollback {run.run}`"
    return f"Go on with `alma-pulumi resume {run.run}`{undo}."


class StepError(Exception):
    """Why a step failed, where no exception of the user's own code tells it."""

    def __init__(self, step: str, failure: ev.Failure) -> None:
        super().__init__(f'step "{step}": {failure.message}')
        self.step = step
        self.failure = failure
