"""Inputs of a step: from references to values."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from alma.core.run import RunStatus, SagaState
from alma.core.secret import mask
from alma.core.validation import as_marked, is_known
from alma.steps.step import Output

Reveal = Callable[[str], Awaitable[Mapping[str, Any]]]


class MissingOutputError(Exception):
    """A step that was waited for did not give the output that another one consumes."""


async def resolve(
    sources: Mapping[str, Any],
    run: RunStatus,
    outputs: dict[str, Mapping[str, Any]],
    reveal: Reveal,
) -> dict[str, Any]:
    """The inputs as values; a secret is an opened `Secret`.

    `outputs` are all that is known; what is sealed there comes by `reveal(step)` from where the
    step keeps it, and is then kept in `outputs`.
    """
    values: dict[str, Any] = {}
    for key, source in sources.items():
        values[key] = await _value(source, run, outputs, reveal) if _is_ref(source) else source
    return values


def shown(run: RunStatus, outputs: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """What a function is told of the steps that have completed, and of what the run was given."""
    return {
        name: mask(outputs.get(name, {}))
        for name in dict.fromkeys((*run.steps, *outputs))
        if name not in run.steps or run.steps[name].state is SagaState.COMPLETED
    }


def _is_ref(source: Any) -> bool:
    return isinstance(source, Output)


async def _value(
    source: Output, run: RunStatus, outputs: dict[str, Mapping[str, Any]], reveal: Reveal
) -> Any:
    known = outputs.get(source.step, {})
    if run.kind == "destroy" and source.step not in outputs:
        # Its step stands until who consumes it is undone, and so does its state.
        there = await reveal(source.step) if source.step in run.steps else {}
        if source.name not in there:
            raise MissingOutputError(
                f'it needs the output "{source.name}" of step "{source.step}", which no run of '
                "this journal has left, and no state holds; where there is nothing to undo, "
                "destroy the other steps by name, with --exclusive"
            )
        outputs[source.step] = there
        known = there
    if source.name not in known:
        have = ", ".join(sorted(known)) or "none"
        message = f'step "{source.step}" has no output "{source.name}"; it has: {have}'
        if (user := run.steps.get(source.step)) and user.definition.project:
            message += f'; export it with pulumi.export("{source.name}", ...)'
        raise MissingOutputError(message)
    if is_known(known[source.name]):
        return known[source.name]
    kept = run.steps[source.step].outputs
    read = (await reveal(source.step)).items()
    # What this run took for a secret is one, whoever reads it again.
    revealed = {name: as_marked(value, kept.get(name)) for name, value in read}
    if source.name not in revealed:
        raise MissingOutputError(
            f'the secret output "{source.name}" of step "{source.step}" cannot be read again'
        )
    outputs[source.step] = {**known, **revealed}
    return revealed[source.name]
