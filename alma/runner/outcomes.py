"""What comes of a step's work that raises, or that gives what cannot be kept."""

from __future__ import annotations

import asyncio

from alma.core import events as ev
from alma.core.operation import Operation
from alma.errors import RefusedError
from alma.runner.inputs import MissingOutputError
from alma.steps.base import Outcome, Work
from alma.steps.nested import WaitsError
from alma.system import descriptors


async def outcome_of(work: Work, operation: Operation, kind: ev.OperationKind) -> Outcome:
    """How the work ends, whatever it raises."""
    try:
        return await work(operation)
    except MissingOutputError as error:
        return Outcome(failure=ev.Failure(kind="program", message=str(error)))
    except BaseException as error:  # whatever a step raises is its failure
        if isinstance(error, RefusedError | WaitsError) or not is_its_own(error):
            raise
        if descriptors.are_used_up(error) and kind not in ("action", "compensation"):
            raise  # it says nothing of the step, and an undo could not do more
        return Outcome.raised(error)


def is_its_own(error: BaseException) -> bool:
    """Whether a step's code has raised it by itself, and nobody wants the run to end."""
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and not task.cancelling()
    return isinstance(error, Exception | SystemExit)


def unkept(outcome: Outcome, error: Exception) -> Outcome:
    """Of work whose outcome cannot be journaled: it failed, whatever it has done."""
    words = f"what it gave cannot be kept: {error}"
    if isinstance(outcome.failure, ev.Failure):
        words = f"{outcome.failure.message}; {words}"
    return Outcome(
        failure=ev.Failure(kind="action", message=words),
        resources=outcome.resources,
        leftovers=outcome.leftovers,
        trace=outcome.trace,
        cause=outcome.cause,
    )
