"""What is not any more as the runs of a saga have left it: looked for, told, and kept.

By what is up and not by what the files say: nothing of a program is run. A look takes no lease and
is no run. So it is refused while one is under way, and of no use where one has begun meanwhile.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final, Unpack

from msgspec import Struct
from msgspec.structs import replace

from alma.core.definition import Definition
from alma.core.run import RunStatus
from alma.errors import RunNotFoundError
from alma.journal.journal import utc_now
from alma.journal.reading import load_run
from alma.runner.binding import define
from alma.runner.directory import refuse_another_journal
from alma.runner.left_up import journaled, newest_of_all
from alma.runner.looking import Looking
from alma.runner.observing import observe
from alma.runner.settings import Settings
from alma.runner.start import as_deployed
from alma.runner.step_drift import StepDrift
from alma.saga.arguments import SelectOptions, selection_of
from alma.saga.saga import Saga

DRIFTED: Final = 12
"""The exit code of drift."""


class SagaDrift(Struct, frozen=True, kw_only=True):
    """One look at a saga. `run` is its last run, `steps` what was found of each step."""

    saga: str
    stack: str
    organization: str = ""
    target: str
    run: str
    at: datetime
    steps: tuple[StepDrift, ...]
    notes: tuple[str, ...] = ()

    def of(self, *verdicts: str) -> tuple[StepDrift, ...]:
        """The steps of which that was found."""
        return tuple(step for step in self.steps if step.verdict in verdicts)

    @property
    def drifted(self) -> tuple[StepDrift, ...]:
        """Those that are not as they were left."""
        return self.of("drifted")

    @property
    def exit_code(self) -> int:
        """12 for drift; 1 where there is none that is known of, and something could not be told."""
        return DRIFTED if self.drifted else 1 if self.of("unknown") else 0


async def drift(
    saga: Saga,
    *,
    journal: str | Path | None = None,
    trust: bool = False,
    settings: Settings | None = None,
    **selected: Unpack[SelectOptions],
) -> SagaDrift:
    """Look at what the saga has up, whether it is still as its last run has left it.

    Changes nothing, and takes no lock. What was found is kept in the journal. Raises
    RunNotFoundError where the journal has no run of it, RefusedError while one is under way.
    """
    settings = settings or Settings(
        journal=journal, trust=trust, selection=selection_of(**selected)
    )
    refuse_another_journal(saga, settings)
    last = _last(settings, saga.target)
    settings = as_deployed(last, saga, settings)
    whole = define(saga, settings.aws)
    looking = _begun(settings, whole, last)
    with settings.open(write=False) as reader:
        had = journaled(reader, last)
    here = {step.name for step in whole.steps}
    gone = (step for step in had.steps if step.name not in here)
    names = settings.selection.alone(replace(whole, steps=(*whole.steps, *gone)))
    found = await looking.both(whole, had, names, saga, last)
    return _kept(looking, last, found)


async def drift_of_run(reference: str, settings: Settings) -> SagaDrift:
    """The same of the saga of a run, by what the journal knows of it: its file is not loaded."""
    with settings.open(write=False) as journal:
        target = load_run(journal, journal.resolve(reference)).definition.target
    last = _last(settings, target)
    settings = replace(settings, aws=last.definition.aws)
    with settings.open(write=False) as journal:
        whole = journaled(journal, last)
    names = settings.selection.alone(whole)
    looking = _begun(settings, whole, last)
    found = await looking.at(whole, names, None, last)
    return _kept(looking, last, found)


def _last(settings: Settings, target: str) -> RunStatus:
    with settings.open(write=False) as journal:
        last = newest_of_all(journal, target)
        if last is None:
            raise RunNotFoundError(
                f"There is no run of {target} in {journal.name}: nobody can tell what is to be "
                "there.",
                hint="`alma-pulumi up` brings it up; --journal names another journal.",
            )
    return last


def _begun(settings: Settings, whole: Definition, last: RunStatus) -> Looking:
    looking = Looking(settings, whole.parallelism)
    with settings.open(write=False) as journal:
        looking.quiet.require(journal, last)
    return looking


def _kept(looking: Looking, last: RunStatus, found: list[StepDrift]) -> SagaDrift:
    plan, at = last.definition, utc_now()
    steps, unkept = observe(looking.settings, looking.quiet, last, at, found)
    notes = [f"this look is not kept in the journal: {unkept}"] if unkept else []
    if not last.state.is_final:
        notes.append(f"run {last.run} was interrupted ({last.state.name}), and is not over")
    return SagaDrift(
        saga=plan.saga,
        stack=plan.stack,
        organization=plan.organization,
        target=plan.target,
        run=last.run,
        at=at,
        steps=steps,
        notes=tuple(notes),
    )
