"""From references to values: what a step consumes of the outputs of others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from alma.core.run import RunStatus, SagaState
from alma.core.state import fold
from alma.core.validation import is_whole
from alma.journal.journal import Journal
from alma.steps.step import Output

Reveal = Callable[[str], Awaitable[Mapping[str, Any]]]


class MissingOutputError(Exception):
    """A step that was waited for did not give the output that another one consumes."""


async def resolve(
    sources: Mapping[str, Any],
    run: RunStatus,
    live: dict[str, Mapping[str, Any]],
    reveal: Reveal,
) -> dict[str, Any]:
    """The inputs as values; a secret is an opened `Secret`.

    `live` are outputs that this process has seen, with their secrets; what it lacks comes from
    the journal, or by `reveal(step)` from where the step keeps it, and is then kept in `live`.
    """
    values: dict[str, Any] = {}
    for key, source in sources.items():
        values[key] = await _value(source, run, live, reveal) if _is_ref(source) else source
    return values


def from_earlier_runs(journal: Journal, run: RunStatus) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """What a destroy knows of its steps: by name the run that brought it up, and its outputs.

    Without the outputs a compensation with inputs could not be called; and an action that must be
    repeated for its secrets is repeated with the key of that run, or it would act anew. The
    newest run counts.
    """
    known: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for row in journal.runs(limit=None, target=run.plan.target):
        before = fold(journal.events(row.run))
        if before.kind != "up":
            continue
        for step in before.steps.values():
            left = bool(step.outputs) and not step.how  # made, and its undo failed
            if (step.state is SagaState.COMPLETED or left) and step.name in run.steps:
                known.setdefault(step.name, (before.run, step.outputs))
        if before.state is SagaState.COMPLETED:
            break
    return known


def _is_ref(source: Any) -> bool:
    return isinstance(source, Output)


async def _value(
    source: Output, run: RunStatus, live: dict[str, Mapping[str, Any]], reveal: Reveal
) -> Any:
    known = live.get(source.step, run.steps[source.step].outputs)
    if source.name not in known:
        have = ", ".join(sorted(known)) or "none"
        raise MissingOutputError(
            f'step "{source.step}" has no output "{source.name}"; it has: {have}'
        )
    if is_whole(known[source.name]):
        return known[source.name]
    revealed = await reveal(source.step)
    if source.name not in revealed:
        raise MissingOutputError(
            f'the secret output "{source.name}" of step "{source.step}" cannot be read again'
        )
    live[source.step] = {**known, **revealed}
    return revealed[source.name]
