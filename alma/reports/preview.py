"""What would be done, as text: a preview of `up`, and one of a restore."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from alma.reports import text

if TYPE_CHECKING:
    from alma.runner.preview import PreviewedStep, SagaPreview
    from alma.runner.restore import Plan
    from alma.runner.restore_points import RestorePoint

LATER: Final = "known only during up"


def preview(found: SagaPreview, *, unfold: bool = False) -> list[str]:
    """What every step would do, then what a failure would undo and in which order."""
    lines = [f"Preview of {found.target}: nothing is changed."]
    if found.left_out:
        lines.append(f"Not selected, and left as they are: {', '.join(found.left_out)}.")
    lines.append("")
    for step in found.steps:
        lines += _would_do(step)
        if unfold:
            lines += [text.cut(f"  {text.name(line)}", 400) for line in step.foreseen.within]
    if found.policy == "stop":
        return [*lines, "", "A failure would undo nothing: on_failure is stop."]
    lines += ["", "A failure would undo what has started by then, in this order:"]
    undo = {step.name: step.undo for step in found.steps}
    kept = found.not_undoable
    lines += [f"  {name}: {undo[name]}" for name in found.undo if name not in kept] or ["  nothing"]
    if kept:
        lines += ["", "It could not undo, and would leave behind:"]
        lines += [f"  {name}: {undo[name]}" for name in kept]
    lines += _at_risk(found)
    for name in found.pivots:
        lines += ["", f"Once {name} has completed, nothing is undone any more: it is a pivot."]
    return lines


def failures(found: SagaPreview) -> Iterator[str]:
    """For each step that could not be looked at, one line why and one for the way out."""
    for step in found.steps:
        if (failure := step.foreseen.failure) is not None:
            why = text.one_line(failure.message)
            yield f'error: The preview of step "{step.name}" failed: {why}'
            if failure.hint:
                yield f"hint: {text.one_line(failure.hint)}"


def _at_risk(found: SagaPreview) -> list[str]:
    lines = []
    for step in found.steps:
        for one in step.foreseen.at_risk:
            lines += _named(f"  {step.name}:", one.urn, one.id, one.reason)
    return ["", "It could not bring back as it is:", *lines] if lines else []


def _would_do(step: PreviewedStep) -> list[str]:
    foreseen = step.foreseen
    stack = f" (stack {step.stack})" if step.stack else ""
    if foreseen.failure is not None:
        said = "its preview failed"
    elif step.unknown and foreseen.later:
        said = f"{foreseen.what}; its changes are {LATER}: it consumes {', '.join(step.unknown)}"
    else:
        counts = text.changes(foreseen.changes or {}, planned=True)
        said = f"{foreseen.what}: {counts}" if counts else foreseen.what
    if step.why:
        said = f"{said}, because {text.one_line(step.why)}"
    lines = [f"{step.name}{stack}: {said}"]
    lines += [
        f"  {change.op} {text.resource(change.urn)}"
        for change in foreseen.resources
        if change.op != "same"
    ]
    lines += [text.cut(f"  warning: {text.name(words)}", 400) for words in foreseen.warnings]
    if foreseen.failure is not None:
        lines += text.block(foreseen.failure.message, "  ")
    return lines


# -- a restore ---------------------------------------------------------------------------------


def restore_points(found: Sequence[RestorePoint]) -> list[str]:
    """A table of what a stack can be put back to."""
    if not found:
        return ["There is nothing to put the stack back to: no run has left a snapshot of it."]
    rows = [
        (one.moment, one.run, one.kind, one.state.name, str(one.held), text.moment(one.at))
        for one in found
    ]
    return text.table(("AS IT WAS", "RUN", "KIND", "STATE", "RESOURCES", "SEEN"), rows)


def restore_preview(plan: Plan) -> list[str]:
    """What would be updated, deleted, made again, and what cannot be put back."""
    foreseen, chosen = plan.foreseen, plan.point
    held = text.count(chosen.held, "resource")
    lines = [f"{plan.label}, as it was {chosen.moment} run {chosen.run} ({held}):"]
    for what, differences in (
        ("update", foreseen.updated),
        ("delete", foreseen.deleted),
        ("make again, with a new id and without what it held:", foreseen.renewed),
        ("cannot put back:", foreseen.unlike),
    ):
        for one in differences:
            lines += _named(f"  {what}", one.urn, one.id, one.reason)
    return lines if len(lines) > 1 else [*lines, "  nothing would change"]


def _named(start: str, urn: str, identity: str, reason: str) -> list[str]:
    which = f", id {text.name(identity)}" if identity else ""
    return [f"{start} {text.resource(urn)}{which}", *text.block(reason, "    ", most=3)]
