"""What is asked about before it begins: the steps in their order, what is there, what is undone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alma.core.run import RunStatus, SagaState, StepStatus
from alma.core.ttl import NONE, Ttl
from alma.reports import text
from alma.reports.report import places, state_in

if TYPE_CHECKING:
    from alma.runner.preview import PreviewedStep, SagaPreview


def up(found: SagaPreview, last: RunStatus | None, ttl: Ttl | None = None) -> list[str]:
    """Before an `up`. `last` is the newest run, which may have to be ended first."""
    stop = found.policy == "stop"
    rows = [
        (step.name, text.one_line(step.foreseen.what), "-" if stop else text.one_line(step.undo))
        for step in found.steps
    ]
    lines = [*_before(last), _head(found, "up"), ""]
    lines += text.table(("STEP", "NOW", "UNDONE BY"), rows)
    if stop:
        return [*lines, "", "A failure would undo nothing: on_failure is stop."]
    lines += ["", "If a step fails, what has started by then is undone, the last of it first."]
    if kept := found.not_undoable:
        lines.append(f"That cannot undo: {', '.join(kept)}.")
    if ttl is not None:
        lines.append(
            "It does not expire any more."
            if ttl == NONE
            else f"After {ttl} it expires: `alma-pulumi reap` then destroys what its stacks hold."
        )
    lines += [
        f"Once {name} has completed, nothing is undone any more: it is a pivot."
        for name in found.pivots
    ]
    return lines


def _before(last: RunStatus | None) -> list[str]:
    if last is None or last.kind != "up" or last.state.is_final:
        return []
    if last.direction == "forward":
        then = "it is gone on with, and no new run begins"
    else:
        then = "it is undone to its end, and then a new run begins"
    return [f"Run {last.run} was interrupted ({last.state.name}): {then}.", ""]


def _head(found: SagaPreview, kind: str) -> str:
    steps = text.count(len(found.steps), "step")
    where = places(found.definition, found.backend, found.directory)
    return f"{found.definition.target}: {kind}, {', '.join(filter(None, (steps, where)))}"


def destroy(found: SagaPreview, *, remove: bool) -> list[str]:
    """Before a `destroy`: the last step first."""
    rows = [(step.name, _there(step), _taken_down(step, found)) for step in _backwards(found)]
    lines = [_head(found, "destroy"), ""]
    lines += text.table(("STEP", "NOW", "TAKEN DOWN BY"), rows)
    kept = "go as well" if remove else "are kept"
    return [*lines, "", f"Nothing brings it back. The stacks' records and history {kept}."]


def destroy_details(found: SagaPreview) -> list[str]:
    """Every resource that a destroy would find."""
    lines = []
    for step in _backwards(found):
        stack = f" (stack {step.stack})" if step.stack else ""
        lines.append(f"{step.name}{stack}: {_there(step)}")
        lines += [f"  {text.resource(one.urn)}" for one in step.foreseen.held or ()]
    return lines


def _backwards(found: SagaPreview) -> list[PreviewedStep]:
    steps = {step.name: step for step in found.steps}
    return [steps[name] for name in found.undo]


def _there(step: PreviewedStep) -> str:
    held = step.foreseen.held
    if held is None:
        return "not known"
    return text.count(len(held), "resource") if held else "no resources"


def _taken_down(step: PreviewedStep, found: SagaPreview) -> str:
    """A destroy takes down what `up` would only put back, or leave."""
    if found.definition.step(step.name).has_state:
        return "destroy"
    return text.one_line(step.undo)


def rollback(run: RunStatus) -> list[str]:
    """Before a `rollback`: what the run has begun, in the order in which it is undone."""
    rows = [(step.name, _done(step), _undone_by(step, run)) for step in _to_undo(run)]
    steps = text.count(len(rows), "step")
    where = ", ".join(filter(None, (steps, state_in(run))))
    lines = [f"{run.definition.target}: rollback of run {run.run}, {where}", ""]
    if not rows:
        return [*lines, "Nothing of it has begun, or all of it is undone: it is only ended."]
    return [*lines, *text.table(("STEP", "THIS RUN", "UNDONE BY"), rows)]


def rollback_details(run: RunStatus) -> list[str]:
    """Every resource that the run has touched, as its journal has it."""
    lines = []
    for step in _to_undo(run):
        lines.append(f"{step.name}: {_done(step)}; {_undone_by(step, run)}")
        lines += [
            f"  {one.op} {text.resource(one.urn)}" for one in step.resources if one.op != "same"
        ]
    return lines


def _to_undo(run: RunStatus) -> list[StepStatus]:
    order = [name for name in reversed(run.definition.order) if name in run.steps]
    order.sort(key=lambda name: name != run.failed_step)
    found = (run.steps[name] for name in order)
    if run.backward_only:
        return [step for step in found if step.state is not SagaState.COMPLETED]
    return [step for step in found if step.started is not None and not step.how]


def _done(step: StepStatus) -> str:
    return text.changes(step.changes) or step.state.name


def _undone_by(step: StepStatus, run: RunStatus) -> str:
    definition = step.definition
    held = step.started.held if step.started else 0
    if step.skipped:
        return "nothing: an operator has skipped it"
    if definition.compensation == "none":
        return "nothing: it has no compensation"
    if definition.compensation == "nothing":
        return "nothing to undo"
    if not definition.has_state:
        return "its compensation"
    if run.backward_only:
        return "destroy"
    if definition.compensation == "retain":
        return "nothing: compensation is retain"
    there = text.count(held, "resource")
    if held and not (definition.work_dir and not definition.project):
        return f"restore: put back to the {there} that it held"
    return f"nothing: the {there} that it held are never destroyed" if held else "destroy"
