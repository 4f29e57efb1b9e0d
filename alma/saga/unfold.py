"""A definition with the steps of the sagas that are steps of it, to be drawn."""

from __future__ import annotations

from msgspec.structs import replace

from alma.core.definition import Definition, StepDefinition
from alma.saga.saga import Saga


def unfolded(saga: Saga) -> tuple[Definition, dict[str, str]]:
    """Each step of such a saga comes before the step that it is; and which of the saga each is of.

    `regions[eu].net` is the step `net` of the saga for the item `eu`. A saga that only a run can
    know stays folded.
    """
    definition = saga.definition()
    steps: list[StepDefinition] = []
    owner: dict[str, str] = {}
    for made in saga.steps:
        step = definition.step(made.name)
        before = set(step.dependencies)
        for item, part in made.parts().items():
            inner, _ = unfolded(part)
            prefix = f"{made.name}[{item}]." if item else f"{made.name}."
            for one in inner.steps:
                waits = [f"{prefix}{name}" for name in one.dependencies] or step.dependencies
                inputs = {
                    key: f"{prefix}{source}"
                    if one.owner_of(source) in one.dependencies
                    else "value"
                    for key, source in one.inputs.items()
                }
                name = f"{prefix}{one.name}"
                steps.append(replace(one, name=name, dependencies=tuple(waits), inputs=inputs))
                owner[name] = made.name
                if not inner.dependents(one.name):
                    before.add(name)
        steps.append(replace(step, dependencies=tuple(sorted(before))))
        owner[made.name] = made.name
    return replace(definition, steps=tuple(steps)), owner
