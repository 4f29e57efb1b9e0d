"""The order of the steps: who waits for whom, checked to be a DAG."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

from alma.definition import Definition
from alma.errors import DefinitionError


def check_dag(definition: Definition) -> None:
    """Raise DefinitionError for an unknown step or a cycle, naming the steps."""
    known = {step.name for step in definition.steps}
    for step in definition.steps:
        for name in step.dependencies:
            if name not in known:
                raise DefinitionError(
                    f'Step "{step.name}" comes after "{name}", which is no step of '
                    f'saga "{definition.saga}".'
                )
    topological(definition)


def topological(definition: Definition) -> tuple[str, ...]:
    """Step names, each after all that it waits for; among equals in the order added."""
    graph = {step.name: step.dependencies for step in definition.steps}
    sorter: TopologicalSorter[str] = TopologicalSorter(graph)
    try:
        sorter.prepare()
    except CycleError as error:
        path = " → ".join(error.args[1])
        raise DefinitionError(
            f'The steps of saga "{definition.saga}" wait for each other: {path}.'
        ) from error
    rank = {name: index for index, name in enumerate(graph)}
    order: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=rank.__getitem__)
        order.extend(ready)
        sorter.done(*ready)
    return tuple(order)
