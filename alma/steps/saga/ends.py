"""How runs that are a part of a step have ended, as the outcome of that step."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from alma.core.events import Failure, Leftover
from alma.core.result import Result
from alma.core.run import RunStatus, SagaState
from alma.errors import AlmaError, RunnerBusyError
from alma.steps.base import Outcome
from alma.steps.nested import WaitsError

COMPLETED, COMPENSATED = SagaState.COMPLETED, SagaState.COMPENSATED

Ended = Result | AlmaError
"""A run's end; or why it could not be driven."""


def is_well(ended: Ended, wanted: SagaState) -> bool:
    """Whether it is a run that has come to this end."""
    return not isinstance(ended, AlmaError) and ended.state is wanted


def brought_up(ended: Mapping[str, Ended], *, began: bool) -> Outcome:
    """Of runs that went forward. Raises WaitsError where all that is missing is an approval."""
    amiss = {item: one for item, one in ended.items() if not is_well(one, COMPLETED)}
    failed = [one for one in amiss.values() if isinstance(one, AlmaError) or not _waits(one.status)]
    if failed:
        return Outcome(failure=_failure(failed[0]), began=began)
    if amiss:
        raise WaitsError(
            "; ".join(_asked(one) for one in amiss.values() if isinstance(one, Result))
        )
    outputs: dict[str, Any] = {}
    changes: dict[str, int] = {}
    runs = {}
    for item, one in ended.items():
        assert isinstance(one, Result)  # noqa: S101 - it has ended well
        runs[one.status.definition.target] = one.run_id
        outputs |= flat(item, one.outputs)
        for status in one.status.steps.values():
            for op, count in status.changes.items():
                changes[op] = changes.get(op, 0) + count
    return Outcome(outputs=outputs, changes=changes, evidence={"runs": runs})


def flat(item: str, outputs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Outputs by step as those of one: `step.name`, or `item.step.name`."""
    return {
        ".".join(filter(None, (item, step, name))): value
        for step, values in outputs.items()
        for name, value in values.items()
    }


def undone(ended: Mapping[str, Ended], step: str, wanted: SagaState) -> Outcome:
    """Of runs that went back: what they name as left is left of the step."""
    amiss = [one for one in ended.values() if not is_well(one, wanted)]
    runs = {
        one.status.definition.target: one.run_id
        for one in ended.values()
        if isinstance(one, Result)
    }
    if not amiss:
        return Outcome(evidence={"runs": runs})
    left: list[Leftover] = []
    for one in amiss:
        if isinstance(one, AlmaError):
            left.append(Leftover(step=step, reason=f"{one.message} {one.hint}".strip()))
        else:
            left += left_of(one.status, step, "its run was not undone")
    return Outcome(failure=_failure(amiss[0]), leftovers=tuple(left), evidence={"runs": runs})


def left_of(run: RunStatus, step: str, reason: str) -> Iterator[Leftover]:
    """What is left of a run, as that of a step of its parent."""
    target = run.definition.target
    for left in run.leftovers:
        words = f"{target} (run {run.run}), step {left.step}: {left.reason}"
        stack = left.stack or f"{target} {left.step}"
        yield Leftover(step=step, stack=stack, urn=left.urn, id=left.id, reason=words)
    if run.leftovers or run.state in (SagaState.FAILED, COMPENSATED):
        return
    for status in run.started():
        if not status.how and status.began:
            project = status.definition.project
            stack = f"{project}/{run.definition.stack}" if project else f"{target} {status.name}"
            words = f"{target} (run {run.run}) is {run.state.name}: {reason}"
            yield Leftover(step=step, stack=stack, reason=words)


def _waits(run: RunStatus) -> bool:
    return bool(run.waiting) or any(step.waits for step in run.steps.values())


def _asked(result: Result) -> str:
    run = result.status
    told = [
        f"`alma-pulumi approve {run.word} {shlex.quote(one.name)} --reason ...`"
        for one in run.waiting
    ]
    return f"run {run.run} of {run.definition.target} waits for approval {', '.join(told)}".strip()


def _failure(ended: Ended) -> Failure:
    if isinstance(ended, AlmaError):
        kind = "locked" if isinstance(ended, RunnerBusyError) else "backend"
        return Failure(kind=kind, message=ended.message, hint=ended.hint)
    run, error = ended.status, ended.error
    who = f"{run.definition.target} (run {run.run})"
    if ended.interrupted:
        return Failure(kind="cancelled", message=f"{who} was interrupted while {run.state.name}")
    if error is None:
        return Failure(kind="unknown", message=f"{who} is {run.state.name}: {run.reason}")
    where = f'{who} failed at step "{ended.failed_step}": {error.message}'
    return Failure(kind=error.kind, message=where, urn=error.urn, hint=error.hint, log=error.log)
