"""Which steps each step waits for, by the order in which they were added."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain

from msgspec.structs import replace

from alma.core.definition import StepDefinition
from alma.steps.step import Step


def in_order(steps: Iterable[Step]) -> tuple[StepDefinition, ...]:
    """The steps as data, with their dependencies.

    What is added after a step that holds (an approval) waits for it, also where it only says whose
    outputs it takes: it would be done before anybody was asked. With `after` it says so itself.
    """
    added = tuple(steps)
    before = chain((None,), (step.name for step in added))
    defined = {step.name: step.define(name) for step, name in zip(added, before, strict=False)}
    waits = {name: set(one.dependencies) for name, one in defined.items()}
    holding: list[str] = []
    for step in added:
        if step.after is None:
            for name in reversed(holding):
                if not (_waits(step.name, name, waits) or _waits(name, step.name, waits)):
                    waits[step.name].add(name)
        if step.holds:
            holding.append(step.name)
    return tuple(
        replace(one, dependencies=tuple(sorted(waits[name]))) for name, one in defined.items()
    )


def _waits(step: str, other: str, waits: Mapping[str, set[str]]) -> bool:
    """Whether it waits for the other one, directly or not."""
    seen, ahead = set[str](), [step]
    while ahead:
        for name in waits.get(ahead.pop(), ()):
            if name == other:
                return True
            if name not in seen:
                seen.add(name)
                ahead.append(name)
    return False
