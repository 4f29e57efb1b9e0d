"""What a run ended with, and the errors that carry it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from alma.core.events import Failure, Leftover
from alma.core.run import RunStatus, SagaState
from alma.errors import AlmaError

if TYPE_CHECKING:
    from alma.pulumi.automation.select import Stack


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a run stands. `outputs` are by step and name; a secret one is a `Secret`."""

    run_id: str
    state: SagaState
    outputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    leftovers: tuple[Leftover, ...] = ()
    error: Failure | None = None
    failed_step: str = ""
    interrupted: bool = False
    status: RunStatus = field(repr=False)

    @property
    def exit_code(self) -> int:
        """What `alma-pulumi` ends with: 0, 4 (clean), 10 (something left) or 8 (resumable)."""
        return exit_code(self.state, interrupted=self.interrupted)

    def stack(self, step: str) -> Stack:
        """The stack of this step as the Automation API knows it: see `alma.select`."""
        from alma.pulumi.automation.select import select_step

        return select_step(self.status, step)


class SagaEndedError(AlmaError):
    """A run that did not end COMPLETED; `result` is what it ended with."""

    def __init__(self, message: str, result: Result, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.result = result


class SagaFailed(SagaEndedError):  # noqa: N818 - the name is part of the public surface
    """The run ended COMPENSATED (clean) or FAILED (`result.leftovers` names what is left)."""

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        """4 when everything is verified undone, 10 when something is left."""
        return self.result.exit_code


class SagaInterrupted(SagaEndedError):  # noqa: N818 - named like SagaFailed, its sibling
    """The run was stopped half way, is journaled as such, and can be resumed or rolled back."""

    exit_code = 8


def exit_code(state: SagaState, *, interrupted: bool) -> int:
    """The exit code that goes with a state."""
    if interrupted or not state.is_final:
        return 8
    return {SagaState.COMPLETED: 0, SagaState.COMPENSATED: 4, SagaState.FAILED: 10}[state]


def make_result(
    run: RunStatus, *, interrupted: bool, live: Mapping[str, Mapping[str, Any]] | None = None
) -> Result:
    """The result of a run; `live` are outputs with their secrets, where this process has them."""
    failed = run.steps.get(run.failed_step) or next(
        (step for step in run.steps.values() if step.failure or step.undo_failure), None
    )
    outputs = {
        step.name: dict((live or {}).get(step.name, step.outputs))
        for step in run.steps.values()
        if step.state is SagaState.COMPLETED and run.kind == "up"
    }
    return Result(
        run_id=run.run,
        state=run.state,
        outputs=outputs,
        leftovers=run.leftovers,
        error=(failed.failure or failed.undo_failure) if failed else None,
        failed_step=failed.name if failed else "",
        interrupted=interrupted,
        status=run,
    )
