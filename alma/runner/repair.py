"""`up --repair`: what has drifted is brought back, by a run that is undone when that fails.

It runs the steps that have drifted, looking first at what is there by now, and of those that
depend on them each whose inputs are not what they were. All else is left alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

from msgspec.structs import replace

from alma.core.definition import Definition
from alma.core.result import Result
from alma.core.selection import Selection
from alma.errors import AlmaError, DefinitionError
from alma.runner.binding import define
from alma.runner.drift import SagaDrift, drift
from alma.runner.settings import Settings
from alma.runner.start import begin, last_run
from alma.runner.step_drift import StepDrift
from alma.saga.arguments import SelectOptions, selection_of
from alma.saga.saga import Saga
from alma.steps.registry import UnknownKindError, find_kind


async def repair(
    saga: Saga,
    *,
    journal: str | Path | None = None,
    trust: bool = False,
    settings: Settings | None = None,
    **selected: Unpack[SelectOptions],
) -> Result | None:
    """Look for drift, and bring back what has drifted; None where nothing has.

    Raises as `Saga.execute` and `drift` do; DefinitionError for drift that a run cannot bring
    back, AlmaError where a step could not be asked: then nothing is begun.
    """
    settings = settings or Settings(
        journal=journal, trust=trust, selection=selection_of(**selected)
    )
    found = await drift(saga, settings=settings)
    require_repairable(saga, found)
    return await bring_back(saga, found, settings) if found.drifted else None


async def bring_back(saga: Saga, found: SagaDrift, settings: Settings) -> Result:
    """Begin the run that does it."""
    definition = define(saga, settings.aws)
    settings = replace(
        settings,
        selection=Selection(steps=_names(definition, found), exclusive=True),
        changed=True,
        repairs={step.step: _words(step) for step in found.drifted},
    )
    return await begin(saga, "up", settings, last_run(saga, settings)[0])


def require_repairable(saga: Saga, found: SagaDrift) -> None:
    """Refuse before anything is begun what would not be whole, or would be made twice."""
    names = {step.name for step in saga.steps}
    for step in found.steps:
        if step.drift.failure is not None or step.drift.unasked:
            why = step.drift.failure.message if step.drift.failure else step.drift.unasked[0][1]
            raise AlmaError(
                f'Step "{step.step}" could not be asked as a whole, so nobody can tell what is '
                f"to be brought back: {why}",
                hint="Mend that first, or leave it out with --exclude.",
            )
    for step in found.drifted:
        if why := _unrepaired(step, names):
            raise DefinitionError(
                f'Step "{step.step}" has drifted, and a run cannot bring it back: {why}.',
                hint="Put it right by hand, or leave it out with --exclude.",
            )


def _unrepaired(step: StepDrift, names: set[str]) -> str:
    if step.step.partition("/")[0] not in names:
        return "the saga does not have it any more"
    if any(one.op == "missing" for one in step.drift.resources):
        return "what its state held is not known, and may be there still"
    if found := next((one for one in step.drift.resources if one.stays), None):
        return f"{found.urn}: {found.why}"
    try:
        return find_kind(step.kind).unrepaired
    except UnknownKindError:
        return ""


def _names(definition: Definition, found: SagaDrift) -> tuple[str, ...]:
    """What has drifted, what depends on it, and the approvals that these come after."""
    chosen: set[str] = set()
    for step in found.drifted:
        name = step.step.partition("/")[0]
        chosen |= {name, *definition.after(name)}
    for one in definition.steps:
        if one.approvers and chosen.intersection(definition.after(one.name)):
            chosen.add(one.name)
    return tuple(one.name for one in definition.steps if one.name in chosen)


def _words(step: StepDrift) -> str:
    kinds: dict[str, int] = {}
    for one in step.drift.resources:
        kinds[one.op] = kinds.get(one.op, 0) + 1
    return f"it has drifted: {', '.join(f'{count} {op}' for op, count in kinds.items())}"
