"""What a look at drift has found: as text, and as the document of `--json`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET, to_builtins

from alma.core.drift import MASK
from alma.reports import text

if TYPE_CHECKING:
    from alma.core.drift import PropertyDrift, ResourceDrift
    from alma.runner.drift import SagaDrift
    from alma.runner.step_drift import StepDrift

_WORDS: Final = {
    "none": "no drift",
    "drifted": "has drifted",
    "unknown": "could not be told",
    "unasked": "cannot be told",
    "absent": "nothing of it is up",
}
_WIDEST: Final = 120
"""Characters of a value; `--json` has it whole."""


def drift(found: SagaDrift) -> list[str]:
    """Each step, then how many of them are what."""
    at = text.moment(found.at)
    lines = [f"Drift of {found.target}, looked for at {at}, since run {found.run}."]
    lines += [f"note: {text.name(note)}" for note in found.notes]
    lines.append("")
    for step in found.steps:
        lines += of_step(step)
    return [*lines, "", _sum(found)]


def failures(found: SagaDrift) -> Iterator[str]:
    """For each step that could not be asked, why, and the way out."""
    for step in found.steps:
        if (failure := step.drift.failure) is not None:
            where = f" ({text.resource(failure.urn)})" if failure.urn else ""
            why = text.one_line(failure.message)
            yield f'error: Drift of step "{text.name(step.step)}"{where} could not be told: {why}'
            if failure.hint:
                yield f"hint: {text.one_line(failure.hint)}"


def document(found: SagaDrift) -> dict[str, Any]:
    """All that was found."""
    return {
        "saga": found.saga,
        "stack": found.stack,
        "organization": found.organization,
        "run": found.run,
        "at": found.at.isoformat(),
        "exit_code": found.exit_code,
        "drifted": bool(found.drifted),
        "notes": list(found.notes),
        "steps": [_document(step) for step in found.steps],
    }


def _document(step: StepDrift) -> dict[str, Any]:
    failure = step.drift.failure
    return {
        "step": step.step,
        "kind": step.kind,
        "stack": step.stack,
        "run": step.run or None,
        "verdict": step.verdict,
        "resources": [
            {**to_builtins(one), "since": step.since.get(one.urn)} for one in step.drift.resources
        ],
        "unasked": [{"urn": urn, "reason": why} for urn, why in step.drift.unasked],
        "reason": step.unasked or (failure.message if failure else None),
        "notes": list(step.drift.notes),
    }


def of_step(step: StepDrift) -> Iterator[str]:
    """What has become of it, then each resource with its properties."""
    stack = f" (stack {step.stack})" if step.stack else ""
    said = _WORDS[step.verdict]
    why = step.unasked or (step.drift.failure.message if step.drift.failure else "")
    if step.verdict == "drifted" and why:
        said = f"{said}, and not all of it could be told: {text.one_line(why)}"
    elif why:
        said = f"{said}: {text.one_line(why)}"
    yield f"{text.name(step.step)}{stack}: {said}"
    for one in step.drift.resources:
        yield from _resource(one, step.since.get(one.urn, ""))
    for urn, reason in step.drift.unasked:
        yield text.cut(f"  ? {text.resource(urn)}: cannot be told, {text.one_line(reason)}", 400)
    for note in step.drift.notes:
        yield text.cut(f"  note: {text.name(note)}", 400)


def _resource(one: ResourceDrift, since: str) -> Iterator[str]:
    known = f" ({text.name(one.id)})" if one.id else ""
    seen = f", first seen {text.moment(datetime.fromisoformat(since))}" if since else ""
    why = f": {text.one_line(one.why)}" if one.why else ""
    yield text.cut(f"  {one.op} {text.resource(one.urn)}{known}{seen}{why}", 400)
    for each in one.properties:
        yield text.cut(f"    {text.name(each.path)}: {_values(each)}", 400)


def _values(each: PropertyDrift) -> str:
    if MASK in (each.was, each.now):
        return "another secret"
    was, now = _value(each.was), _value(each.now)
    return f"{was} -> {now}" if was or now else "differs"


def _value(value: Any) -> str:
    if value is UNSET:
        return ""
    return text.cut(text.name(json.dumps(to_builtins(value), ensure_ascii=False)), _WIDEST)


def _sum(found: SagaDrift) -> str:
    drifted, told = len(found.drifted), text.count(len(found.of("none", "drifted")), "step")
    have = "has" if drifted == 1 else "have"
    parts = [f"{drifted or 'none'} of {told} that could be told {have} drifted"]
    for verdict in ("unknown", "unasked", "absent"):
        names = ", ".join(text.name(step.step) for step in found.of(verdict))
        parts += [f"{_WORDS[verdict]}: {names}"] if names else []
    return f"{'; '.join(parts)}."
