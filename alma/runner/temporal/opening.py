"""Opening a run that was begun, for the turns that a worker takes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec.structs import replace

from alma.core.definition import Definition
from alma.core.run import RunStatus
from alma.errors import AuthenticationError
from alma.journal import Journal
from alma.journal.known import (
    Given,
    given,
    known_of_earlier_runs,
    known_outputs,
    parameters_of,
    secrets_of_earlier_runs,
)
from alma.journal.reading import load_run
from alma.runner.again import define_again, with_gone
from alma.runner.binding import bind_journaled, bind_saga, open_sessions
from alma.runner.leased_run import aside, executor_of, told
from alma.runner.temporal.here import Here
from alma.runner.temporal.orders import Lead
from alma.runner.temporal.served import Served
from alma.runner.temporal.shared_recorder import SharedRecorder
from alma.steps.base import StepHandler


@asynccontextmanager
async def open_here(lead: Lead, served: Served) -> AsyncIterator[Here]:
    """A run that was begun, with a handler of each step.

    Of this worker's own code where that is the run's, else what the journal alone can undo.
    """
    with served.settings.open(write=True) as journal:
        run = load_run(journal, lead.run)
        settings = replace(served.settings, changed=run.changed, repairs=run.repairs)
        saga = served.saga(parameters_of(journal, run), run.overrides)
        before = _given(journal, run)
        mine = define_again(run, "forward", saga, settings)
        both = with_gone(run, mine)
        async with open_sessions(
            both, settings, saga, last=run, follow=True, write=True
        ) as sessions:
            own = bind_saga(saga, mine, sessions)
            old = bind_journaled(run.definition, sessions, before)
            same = _same(run.definition, own.definition)
            adapters: dict[str, StepHandler] = {
                name: (own if name in same else old).adapters[name] for name in run.steps
            }
            gates = {name: gate for name, gate in own.gates.items() if name in same}
            prepared = replace(own, definition=run.definition, adapters=adapters, gates=gates)
            prepared.redactor.learn(before.secrets)
            prepared.redactor.learn(secrets_of_earlier_runs(journal, lead.target))
            known = known_outputs(journal, run)
            if run.kind == "destroy":
                known = known_of_earlier_runs(journal, run.definition)
            known.outputs.update(before.outputs)
            lease = journal.join(lead.target, lead.run, lead.epoch)
            async with aside(told(run, journal, settings, prepared)) as reporter:
                recorder = SharedRecorder(run, journal, lease, prepared.redactor, reporter)
                executor = executor_of(recorder, journal, prepared, settings, known)
                if run.interrupts and (run.direction == "forward" or run.backward_only):
                    executor.drain.set()
                here = Here(lead, journal, executor, known, same)
                recorder.noticed = here.noticed
                watching = asyncio.create_task(here.watch())
                try:
                    yield here
                finally:
                    watching.cancel()
                    await asyncio.gather(watching, return_exceptions=True)


def _given(journal: Journal, run: RunStatus) -> Given:
    try:
        return given(journal, run)
    except AuthenticationError:
        return Given()  # what needs it is refused: `require_known`


def _same(run: Definition, mine: Definition) -> frozenset[str]:
    """The steps of the run that this worker has just so."""
    own = {step.name: step for step in Definition.from_json(mine.to_json()).steps}
    return frozenset(step.name for step in run.steps if own.get(step.name) == step)
