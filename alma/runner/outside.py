"""Outputs of steps that a run leaves out: read before it begins, or it is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alma.core.definition import INPUTS, Definition
from alma.core.run import RunStatus, SagaState
from alma.core.selection import outside_of, part_of
from alma.core.validation import as_marked, is_known
from alma.errors import DefinitionError
from alma.journal import Journal
from alma.journal.known import Known
from alma.journal.standing import Standing, standings
from alma.runner.binding import bind_saga, open_sessions
from alma.runner.settings import Settings
from alma.saga.saga import Saga
from alma.steps.base import StepHandler
from alma.steps.step import Output


async def outputs_outside(
    saga: Saga, whole: Definition, part: Definition, settings: Settings, last: RunStatus | None
) -> dict[str, Mapping[str, Any]]:
    """What the steps of `part` consume of those that it leaves out, by step, with its secrets.

    From a step's state where it has one, and that is still as the journal knows it; else from the
    last run that has completed the step. Raises DefinitionError where neither has it, and
    AuthenticationError where it is sealed and there is no key.
    """
    names = outside_of(part)
    wanted = _wanted(saga, part)
    given: dict[str, Mapping[str, Any]] = {}
    if INPUTS in names:
        given[INPUTS] = {
            name: settings.given[name] for name in wanted[INPUTS] if name in settings.given
        }
        names = tuple(name for name in names if name != INPUTS)
    if not names:
        return given
    with settings.open(write=False) as journal:
        known = standings(journal, whole.target, names)
        # Sessions of their own: to those of the run these steps are somebody else's.
        there = part_of(whole, names)
        async with open_sessions(there, settings, saga, last=last, follow=True) as sessions:
            adapters = bind_saga(saga, there, sessions).adapters
            for name in names:
                where = _Source(name, min(wanted[name]), known.get(name))
                if adapters[name].keeps_outputs:
                    given[name] = await where.in_state(adapters[name], wanted[name])
                else:
                    given[name] = where.in_journal(journal, wanted[name])
    return given


def require_given(saga: Saga, part: Definition, settings: Settings) -> None:
    """Refuse to begin without what the saga is to be given as a whole."""
    wanted = _wanted(saga, part).get(INPUTS, frozenset())
    if missing := sorted(wanted - settings.given.keys()):
        raise DefinitionError(
            f'Saga "{saga.name}" takes the input "{missing[0]}", and nothing gives it.',
            hint="It is to be a step of another saga: add_saga(..., inputs={...}).",
        )


def _wanted(saga: Saga, part: Definition) -> dict[str, frozenset[str]]:
    """The outputs that are consumed of each step outside, by step."""
    outside = outside_of(part)
    within = {step.name for step in part.steps}
    sources = [
        source
        for step in saga.steps
        if step.name in within
        for source in step.inputs.values()
        if isinstance(source, Output)
    ]
    return {
        name: frozenset(source.name for source in sources if source.step == name)
        for name in outside
    }


class _Source:
    """One step outside: `output` is one that is consumed, for the words of a refusal."""

    def __init__(self, name: str, output: str, known: Standing | None) -> None:
        self.name, self.output, self.known = name, output, known

    async def in_state(self, adapter: StepHandler, wanted: frozenset[str]) -> Mapping[str, Any]:
        """Where the step keeps them; what the journal took for a secret is one."""
        now = (await adapter.state_now()).fingerprint
        if self.known is not None:
            self._refuse_undone(self.known)
            if self.known.fingerprint not in ("", now):
                raise self._refused(f"its state is not what run {self.known.run.run} has left")
        outputs = await adapter.current_outputs(wanted)
        kept = self.known.step.outputs if self.known else {}
        found = {key: as_marked(value, kept.get(key)) for key, value in outputs.items()}
        return self._whole(found, wanted, "its state does not have it")

    def in_journal(self, journal: Journal, wanted: frozenset[str]) -> Mapping[str, Any]:
        """As the last run that has completed it has left them."""
        if self.known is None:
            raise self._refused("no run has completed it")
        self._refuse_undone(self.known)
        known = Known()
        known.add(journal, self.known.step)
        if locked := known.locked.get(self.name):
            raise locked
        return self._whole(known.outputs[self.name], wanted, f"run {self.known.run.run} has none")

    def _whole(
        self, outputs: Mapping[str, Any], wanted: frozenset[str], why: str
    ) -> Mapping[str, Any]:
        for key in sorted(wanted):
            if key not in outputs or not is_known(outputs[key]):
                self.output = key
                raise self._refused(why)
        return {key: outputs[key] for key in sorted(wanted)}

    def _refuse_undone(self, known: Standing) -> None:
        state, kind = known.step.state, known.run.kind
        stands = state is SagaState.COMPLETED or (
            state is SagaState.COMPENSATED and known.step.how == "restored"
        )
        if kind == "destroy" and known.step.how == "destroyed":
            raise self._refused(f"run {known.run.run} has destroyed it")
        if not stands or kind == "destroy":
            raise self._refused(f"run {known.run.run} left it {state.name}")

    def _refused(self, why: str) -> DefinitionError:
        return DefinitionError(
            f'The output "{self.output}" of step "{self.name}", which is not selected, cannot be '
            f"used: {why}.",
            hint=f'Select "{self.name}" as well.',
        )
