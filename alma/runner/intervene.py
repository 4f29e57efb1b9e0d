"""An operator's ways out of a stuck compensation: skip a step, abandon a run. Never clean."""

from __future__ import annotations

from msgspec.structs import replace

from alma.core import events as ev
from alma.core.redaction import shortened
from alma.core.result import Result, make_result
from alma.core.run import RunStatus, SagaState
from alma.errors import DefinitionError
from alma.runner.leased_run import open_run
from alma.runner.leftovers import name_leftovers, still_running
from alma.runner.logs import clean_cut_off
from alma.runner.settings import Settings, actor


async def skip(run: str, step: str, *, reason: str, settings: Settings | None = None) -> Result:
    """Let the undo of a run go past this step; `rollback` then goes on with the others.

    Journaled with actor and reason. What is left of the step stays a leftover, so the run can
    only end FAILED. Raises DefinitionError for a step that does not wait to be undone.
    """
    _require_said(reason)
    async with open_run(run, settings or Settings()) as (recorder, adapters):
        reason = shortened(recorder.redact(reason.strip()))
        words = f"skipped by {actor()}: {reason}"
        _check_waits(recorder.run, step)
        status = recorder.run.steps[step]
        found = await adapters[step].leftovers(status, words)
        left = tuple(_with_reason(leftover, words) for leftover in found)
        left = (*still_running(recorder.run, status, words), *left)
        clean_cut_off(recorder.logs, [status], recorder.redact)
        recorder.record(ev.StepSkipped(step=step, actor=actor(), reason=reason))
        recorder.record(ev.StepRetained(step=step, reason=words, leftovers=recorder.clean(left)))
        return make_result(recorder.run, interrupted=not recorder.run.state.is_final)


async def abandon(run: str, *, reason: str, settings: Settings | None = None) -> Result:
    """Give a run up: it ends FAILED, with all that is left of it named.

    Journaled with actor and reason. Raises DefinitionError for a run that left nothing.
    """
    _require_said(reason)
    async with open_run(run, settings or Settings(), over=True) as (recorder, adapters):
        reason = shortened(recorder.redact(reason.strip()))
        words = f"abandoned by {actor()}: {reason}"
        if recorder.run.state in (SagaState.COMPLETED, SagaState.COMPENSATED):
            raise DefinitionError(
                f"Run {recorder.run.run} is {recorder.run.state.name}: there is nothing to abandon."
            )
        left = await name_leftovers(recorder.run, adapters, words)
        clean_cut_off(recorder.logs, recorder.run.steps.values(), recorder.redact)
        recorder.record(ev.RunAbandoned(actor=actor(), reason=reason))
        recorder.record(ev.RunFailed(reason=words, leftovers=recorder.clean(left)))
        return make_result(recorder.run, interrupted=False)


def _with_reason(left: ev.Leftover, words: str) -> ev.Leftover:
    return left if words in left.reason else replace(left, reason=f"{words}; {left.reason}")


def _require_said(reason: str) -> None:
    if not reason.strip():
        raise DefinitionError("A reason is needed: it is what the journal keeps of the decision.")


def _check_waits(run: RunStatus, step: str) -> None:
    status = run.steps.get(step)
    if status is None:
        raise DefinitionError(
            f'Run {run.run} has no step "{step}".', hint=f"It has: {', '.join(run.steps)}."
        )
    if run.direction == "forward":
        raise DefinitionError(
            f"Run {run.run} is not being undone: there is nothing to skip.",
            hint=f"To undo it: `alma-pulumi rollback {run.word}`.",
        )
    if status.how or (run.kind == "up" and status.started is None):
        raise DefinitionError(f'Step "{step}" of run {run.run} does not wait to be undone.')
