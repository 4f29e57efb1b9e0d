"""Whose a module's state is: the journal knows which saga has written it last.

Two sagas, or two stack names of one, over one module have one state: the second `up` would
replace what the first one has made.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from msgspec import Struct

from alma.core.definition import Definition, StepDefinition
from alma.core.run import RunStatus, SagaState, StepStatus
from alma.errors import RefusedError
from alma.steps.base import Session, SessionOptions
from alma.steps.terraform.state import CutOff, State


class Place(Struct, frozen=True):
    """A root module's directory, and its workspace where the step names one."""

    directory: Path
    workspace: str

    @classmethod
    def of(cls, step: StepDefinition) -> Place:
        """Where the step's module is."""
        return cls(Path(step.work_dir).resolve(), step.settings.get("workspace", ""))

    def __str__(self) -> str:
        chosen = f" (workspace {self.workspace})" if self.workspace else ""
        return f"{self.directory}{chosen}"


class TerraformSession(Session):
    """What the modules of one saga share: what the journal says of others'."""

    def __init__(self, definition: Definition, asked: SessionOptions) -> None:
        self.definition = definition
        self._runs = asked.runs

    @classmethod
    @asynccontextmanager
    async def open(
        cls, definition: Definition, asked: SessionOptions
    ) -> AsyncIterator[TerraformSession]:
        """Nothing is opened."""
        yield cls(definition, asked)

    async def check(self) -> dict[str, str]:
        """Refuse a state that is another saga's, where the journal knows of any."""
        from alma.steps.terraform.cli import UninitialisedError, module_of

        runs = await asyncio.to_thread(self._runs)
        target = self.definition.target
        if any(_modules(run) for run in runs if run.definition.target != target):
            for step in self.definition.steps:
                if step.kind == "terraform":
                    with suppress(UninitialisedError):  # a step that starts will look again
                        state = await module_of(step).state(initialise=False)
                        refuse_another_owner(target, Place.of(step), state, runs)
        return {}

    def cut_off(self) -> CutOff:
        """What ran Terraform in operations that nobody saw end: it may have left a lock."""
        runs = self._runs()
        steps = (step for run in runs for step in _modules(run))
        gone = frozenset[str]().union(*(run.gone for run in runs))
        return CutOff([process for step in steps for process in step.cut_off], gone)

    async def require_own(self, step: StepDefinition, state: State) -> None:
        """The same of one module as its step starts: another run may have begun meanwhile."""
        runs = await asyncio.to_thread(self._runs)
        refuse_another_owner(self.definition.target, Place.of(step), state, runs)


def refuse_another_owner(
    target: str, place: Place, state: State, runs: Sequence[RunStatus]
) -> None:
    """Raise RefusedError where a run of another target has the module; `runs` newest first."""
    mine = next((at for at, run in enumerate(runs) if run.definition.target == target), None)
    begun = mine is not None and not runs[mine].state.is_final
    for run in runs[mine:] if begun else runs:
        at_work = not run.state.is_final and run.definition.target != target
        if at_work and any(Place.of(step.definition) == place for step in _modules(run)):
            raise _refused(place, run, "which is not over")
    for run in runs if state.instances else ():
        holds = any(_lineage(step) == state.lineage for step in _modules(run))
        if not holds or run.state is SagaState.COMPENSATED:
            continue
        if run.definition.target != target:
            raise _refused(place, run, "and this one would replace what that has made")
        return


def _refused(place: Place, run: RunStatus, why: str) -> RefusedError:
    whose = f"{run.definition.target} (run {run.run})"
    return RefusedError(
        f"The Terraform state of {place} is that of {whose}, {why}.",
        hint="Give the step a workspace of its own (workspace=...), or its module a backend that "
        "keeps the two apart.",
    )


def _modules(run: RunStatus) -> list[StepStatus]:
    return [step for step in run.steps.values() if step.definition.kind == "terraform"]


def _lineage(step: StepStatus) -> str:
    before = step.started.fingerprint if step.started else ""
    return (step.fingerprint or before).partition(":")[0]
