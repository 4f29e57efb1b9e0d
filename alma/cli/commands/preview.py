"""`alma-pulumi preview`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from alma.cli.localstack import Command, localstack_option
from alma.cli.options import Invocation, pass_shared, shared_options, target_argument
from alma.cli.output import say
from alma.reports import text as words

if TYPE_CHECKING:
    from alma.core.localstack import LocalStack
    from alma.runner.preview import PreviewedStep, SagaPreview


@click.command("preview", cls=Command)
@target_argument
@localstack_option
@shared_options
@pass_shared
def command(shared: Invocation, target: str, localstack: LocalStack | None) -> int:
    """Show what `up` would do, and what a failure would undo. Changes and writes nothing.

    Exit codes: 0 foreseen, 1 a stack's preview failed.
    """
    import asyncio

    from alma.runner.preview import preview
    from alma.runner.settings import Settings
    from alma.saga.target import load

    loaded = load(target)
    settings = Settings(aws=localstack, origin=loaded.origin, modules=loaded.modules)
    found = asyncio.run(preview(loaded.saga, settings))
    if shared.json:
        shared.answer(_document(found))
    else:
        for line in _lines(found):
            say(line)
    for step in found.steps:
        if step.foreseen.failure is not None:
            message = words.one_line(step.foreseen.failure.message)
            say(f'error: The preview of step "{step.name}" failed: {message}', err=True)
            if step.foreseen.failure.hint:
                say(f"hint: {words.one_line(step.foreseen.failure.hint)}", err=True)
    return 0 if found.ok else 1


def _document(found: SagaPreview) -> dict[str, Any]:
    return {
        "saga": found.saga,
        "stack": found.stack,
        "steps": [_step(step) for step in found.steps],
        "undo_order": list(found.undo),
        "not_undoable": list(found.not_undoable),
        "pivots": list(found.pivots),
        "on_failure": found.policy,
        "exit_code": 0 if found.ok else 1,
    }


def _step(step: PreviewedStep) -> dict[str, Any]:
    foreseen = step.foreseen
    changes = foreseen.changes
    return {
        "name": step.name,
        "kind": step.kind,
        "stack": step.stack,
        "what": foreseen.what,
        "changes": None if changes is None else dict(changes),
        "resources": [asdict(change) for change in foreseen.resources],
        "unknown": list(step.unknown),
        "undo": _undo(step),
        "undo_kind": step.way,
        "at_risk": [asdict(one) for one in foreseen.at_risk],
        "undoable": foreseen.undoable or step.changes_nothing,
        "error": foreseen.failure.message if foreseen.failure else None,
    }


def _lines(found: SagaPreview) -> list[str]:
    lines = [f"Preview of {found.saga}/{found.stack}: nothing is changed.", ""]
    for step in found.steps:
        lines += _would_do(step)
    if found.policy == "stop":
        return [*lines, "", "A failure would undo nothing: on_failure is stop."]
    lines += ["", "A failure would undo what has started by then, in this order:"]
    undo = {step.name: _undo(step) for step in found.steps}
    kept = found.not_undoable
    lines += [f"  {name}: {undo[name]}" for name in found.undo if name not in kept] or ["  nothing"]
    if kept:
        lines += ["", "It could not undo, and would leave behind:"]
        lines += [f"  {name}: {undo[name]}" for name in kept]
    lines += _at_risk(found)
    for name in found.pivots:
        lines += ["", f"Once {name} has completed, nothing is undone any more: it is a pivot."]
    return lines


def _at_risk(found: SagaPreview) -> list[str]:
    lines = []
    for step in found.steps:
        for one in step.foreseen.at_risk:
            identity = f", id {words.plain(one.id)}" if one.id else ""
            lines.append(f"  {step.name}: {words.resource(one.urn)}{identity}")
            lines += words.block(one.reason, "    ", most=3)
    return ["", "It could not bring back as it is:", *lines] if lines else []


def _undo(step: PreviewedStep) -> str:
    return "nothing to undo, as nothing changes" if step.changes_nothing else step.foreseen.undo


def _would_do(step: PreviewedStep) -> list[str]:
    from alma.runner.preview import LATER

    foreseen = step.foreseen
    stack = f" (stack {step.stack})" if step.stack else ""
    if foreseen.failure is not None:
        said = "its preview failed"
    elif step.unknown and step.kind in ("stack", "terraform"):
        said = f"{foreseen.what}; its changes are {LATER}: it consumes {', '.join(step.unknown)}"
    else:
        counts = words.changes(foreseen.changes or {}, planned=True)
        said = f"{foreseen.what}: {counts}" if counts else foreseen.what
    lines = [f"{step.name}{stack}: {said}"]
    lines += [
        f"  {change.op} {words.resource(change.urn)}"
        for change in foreseen.resources
        if change.op != "same"
    ]
    if foreseen.failure is not None:
        lines += words.block(foreseen.failure.message, "  ")
    return lines
