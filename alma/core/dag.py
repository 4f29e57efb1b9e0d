"""The order of the steps: who waits for whom, checked to be a DAG."""

from __future__ import annotations

from graphlib import CycleError

from alma.core.definition import Definition
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
    try:
        return definition.order
    except CycleError as error:
        path = " → ".join(error.args[1])
        raise DefinitionError(
            f'The steps of saga "{definition.saga}" wait for each other: {path}.'
        ) from error
