"""What a run ended with, and the one JSON document that describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from alma.core.events import Failure, Leftover
from alma.core.run import RunStatus, SagaState, StepStatus


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


def document(run: RunStatus, *, interrupted: bool) -> dict[str, Any]:
    """The document of `up --json` and `status --json`; field names are never renamed."""
    result = make_result(run, interrupted=interrupted)
    return {
        "run": run.run,
        "saga": run.plan.saga,
        "stack": run.plan.stack,
        "kind": run.kind,
        "state": run.state.value,
        "interrupted": interrupted,
        "exit_code": result.exit_code,
        "created_at": run.created_at.isoformat() if run.created_at else None,
        "ended_at": run.ended_at.isoformat() if run.ended_at else None,
        "steps": [_step(step) for step in run.steps.values()],
        "outputs": {name: dict(outputs) for name, outputs in result.outputs.items()},
        "leftovers": [asdict(left) for left in run.leftovers],
        "error": _sentence(result),
        "failure": {"step": result.failed_step, **asdict(result.error)} if result.error else None,
    }


def _step(step: StepStatus) -> dict[str, Any]:
    failure = step.undo_failure or step.failure
    return {
        "name": step.name,
        "state": step.state.value,
        "attempts": step.tries,
        "seconds": round(step.seconds, 3),
        "changes": dict(step.changes),
        "error": failure.message if failure else None,
        "kind": step.definition.kind,
        "project": step.definition.project,
        "undone": step.how,
        "log": failure.log if failure else "",
    }


def _sentence(result: Result) -> str | None:
    if result.error is None:
        return result.status.reason or None
    return f'step "{result.failed_step}": {result.error.message}'
