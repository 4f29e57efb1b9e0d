"""What has become of the steps that are up: each is asked by its kind, some at a time.

Takes no lease and begins no run; what a step is given comes from the journal, as its last run has
left it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Never

from msgspec import Struct
from msgspec.structs import replace

from alma.core.definition import Definition
from alma.core.drift import Drift, ResourceDrift
from alma.core.events import Failure
from alma.core.operation import Context, Operation, aside
from alma.core.redaction import Redactor
from alma.core.run import Child, RunStatus
from alma.core.secret import mask
from alma.core.selection import closed, outside_of, part_of
from alma.core.validation import as_marked, is_known
from alma.errors import AlmaError, AuthenticationError, DefinitionError, RefusedError
from alma.journal.known import Known
from alma.journal.standing import ITS_OWN, Standing, standings
from alma.runner.binding import BoundSaga, Sessions, bind_journaled, bind_saga, open_sessions
from alma.runner.left_up import (
    Quiet,
    children_of,
    is_up,
    journaled,
    known_to_ask,
    newest_of_all,
)
from alma.runner.settings import Settings
from alma.runner.step_drift import StepDrift, masked
from alma.saga.saga import Saga
from alma.steps.base import Outcome, SeesDrift, StepContext, StepHandler
from alma.steps.step import Output
from alma.steps.telling import HoldsSagas, TellsDrift
from alma.system.environment import secrets_in_environment
from alma.system.scratch import scratch


class Looking:
    """One look, over as many sagas as stand in one another. `redact` is what it must not show."""

    def __init__(self, settings: Settings, parallelism: int) -> None:
        self.settings = settings
        self.redact = Redactor()
        self.redact.learn(secrets_in_environment(os.environ))
        self.quiet = Quiet()
        self._free = asyncio.Semaphore(parallelism)

    async def at(
        self,
        definition: Definition,
        names: tuple[str, ...],
        saga: Saga | None,
        last: RunStatus,
        within: str = "",
    ) -> list[StepDrift]:
        """Ask these steps; without their saga by what the journal knows of them alone."""
        with self.settings.open(write=False) as journal:
            wanted = [step.name for step in definition.steps]
            asked = {*wanted, *outside_of(definition)}
            known = standings(journal, definition.target, asked, ITS_OWN)
            children = children_of(journal, definition)
            outputs, secret = known_to_ask(journal, known, last)
        self.redact.learn([outputs.outputs, secret.secrets])
        part = part_of(definition, names)
        async with open_sessions(part, self.settings, saga, last=last, follow=True) as sessions:
            if saga is None:
                bound = bind_journaled(part, sessions, secret)
            else:
                bound = bind_saga(saga, part, sessions)
            self.redact.learn(bound.given.secrets)
            refused = await _refused(sessions)
            asking = _Asked(
                looking=self,
                bound=bound,
                refused=refused,
                known=known,
                children=children,
                outputs=outputs,
                within=within,
                alone=saga is None,
            )
            found = await asyncio.gather(*(asking.step(name) for name in names))
        return [one for each in found for one in each]

    async def both(
        self,
        now: Definition,
        had: Definition,
        named: Collection[str] | None,
        saga: Saga | None,
        last: RunStatus,
        within: str = "",
    ) -> list[StepDrift]:
        """Ask those of the saga as it is now, and those that are up and that it has no more."""
        here = {step.name for step in now.steps}
        gone = closed(replace(had, steps=tuple(one for one in had.steps if one.name not in here)))
        found: list[StepDrift] = []
        for definition, whose in ((now, saga), (gone, None)):
            every = (step.name for step in definition.steps)
            names = tuple(name for name in every if named is None or name in named)
            if names:
                found += await self.at(definition, names, whose, last, within)
        return found

    async def child(self, target: str, run: str, saga: Saga | None, path: str) -> list[StepDrift]:
        """A saga that is a step: its own last run, which may be another than its parent's."""
        with self.settings.open(write=False) as journal:
            last = newest_of_all(journal, target)
            if last is None:
                raise DefinitionError(f"Its run {run} of {target} is not in this journal.")
            self.quiet.require(journal, last)
            had = now = journaled(journal, last)
        if saga is not None and saga.target != target:
            saga = None  # what its function makes by now is another one
        with suppress(DefinitionError):
            now = saga.definition() if saga is not None else had
        return await self.both(now, had, None, saga, last, f"{path}/")

    async def guarded(self, asking: Any) -> Drift | None:
        """As many at once as the saga lets; what cannot be asked is no reason not to ask others."""
        async with self._free:
            try:
                found: Drift | None = await asking
            except Exception as error:  # noqa: BLE001 - a kind's own may raise anything
                found = Drift(failure=Outcome.raised(error).failure)
        return found


class _Asked(Struct, frozen=True, kw_only=True):
    """The steps of one saga, and what is known to ask them with."""

    looking: Looking
    bound: BoundSaga
    refused: Mapping[str, AlmaError]
    known: Mapping[str, Standing]
    children: Mapping[str, Mapping[str, Child]]
    outputs: Known
    within: str
    alone: bool

    async def step(self, name: str) -> list[StepDrift]:
        """What was found of it; of a saga, of its steps."""
        step, standing = self.bound.definition.step(name), self.known.get(name)
        adapter, path = self.bound.adapters[name], f"{self.within}{name}"
        about = StepDrift(
            step=path,
            kind=step.kind,
            drift=Drift(absent=True),
            stack=f"{step.project}/{self.bound.definition.stack}" if step.project else "",
            run=standing.run.run if standing else "",
        )
        if standing is None or not is_up(standing):
            return [about]
        children = {**self.children.get(name, {}), **standing.step.children}
        if children or isinstance(adapter, HoldsSagas):
            return await self._children(adapter, children, about)
        found = await self.looking.guarded(self._ask(name, adapter, standing))
        if found is None:
            return [replace(about, drift=Drift(), unasked=adapter.lacks or "it has no way to tell")]
        return [replace(about, drift=masked(self.looking.redact, found))]

    async def _children(
        self, adapter: StepHandler, children: Mapping[str, Child], about: StepDrift
    ) -> list[StepDrift]:
        found: list[StepDrift] = [] if children else [about]
        for item, child in children.items():
            path, saga = f"{about.step}/{item}" if item else about.step, None
            with suppress(Exception):  # a function of somebody's: the journal knows enough
                saga = adapter.saga_of(item) if isinstance(adapter, HoldsSagas) else None
            try:
                found += await self.looking.child(child.target, child.run, saga, path)
            except RefusedError:
                raise
            except AlmaError as error:
                drift = Drift(failure=Outcome.raised(error).failure)
                found.append(replace(about, step=path, drift=masked(self.looking.redact, drift)))
        return found

    async def _ask(self, name: str, adapter: StepHandler, standing: Standing) -> Drift | None:
        step = self.bound.definition.step(name)
        if standing.step.open is not None:
            words = f"run {standing.run.run} was cut off at it, and is not over"
            hint = f"`alma-pulumi resume {standing.run.word}` comes first."
            return Drift(failure=Failure(kind="pending", message=words, hint=hint))
        if self.alone and adapter.lacks and step.settings.get("secrets"):
            return Drift(failure=Failure(kind="backend", message=adapter.lacks))
        gate = self.bound.gates.get(name)
        tells = isinstance(adapter, TellsDrift | SeesDrift)
        if not tells and gate is None:
            return None
        if (error := self.refused.get(step.kind)) is not None:
            raise error
        operation = replace(
            aside(asyncio.Event()), redact=self.looking.redact, timeout=step.timeout
        )
        with scratch("drift") as place:
            values: dict[str, Any] = {}
            call = self._call(name, adapter, standing, place, values)
            await adapter.require()
            found = await _told(adapter, call, operation) if tells else None
            if found is None and gate is not None:
                gate.require()
                values |= await call.inputs()
                said = await gate.once(adapter, call, operation, values)
                why = f"it is not ready any more: {said}"
                lost = ResourceDrift(urn=f"{self.within}{name}", op="update", why=why)
                found = Drift(resources=(lost,) if said else ())
        return found

    def _call(
        self,
        name: str,
        adapter: StepHandler,
        standing: Standing,
        place: Path,
        values: dict[str, Any],
    ) -> StepContext:
        run, outputs = standing.run, self.outputs.outputs

        async def inputs() -> Mapping[str, Any]:
            for key, source in adapter.inputs.items():
                if key not in values:
                    consumed = isinstance(source, Output)
                    values[key] = await self._consumed(source) if consumed else source
            self.looking.redact.learn(values)
            return values

        def context(what: str, given_: Mapping[str, Any]) -> Context:
            return Context(
                run=run.run,
                saga=run.definition.saga,
                stack=run.definition.stack,
                step=name,
                key=f"{run.run}-{name}-{what}",
                inputs=given_,
                outputs={step: mask(one) for step, one in outputs.items()},
                result=outputs.get(name, {}),
            )

        asking: Any = None  # nothing is begun, so nobody is asked
        return StepContext(
            kind="up",
            # Where that run has begun nothing, it is to be as it was found.
            status=replace(standing.step, fingerprint=standing.fingerprint),
            perform=_never,
            inputs=inputs,
            context=context,
            log_dir=str(place),
            asking=asking,
            run=run.run,
        )

    async def _consumed(self, source: Output) -> Any:
        known = self.outputs.outputs.get(source.step, {})
        if is_known(known.get(source.name, None)) and source.name in known:
            return known[source.name]
        if (adapter := self.bound.adapters.get(source.step)) is not None:
            now = await adapter.current_outputs(frozenset({source.name}))
            if source.name in now and is_known(now[source.name]):
                return as_marked(now[source.name], known.get(source.name))
        words = f'it consumes "{source.name}" of step "{source.step}", which is not known here'
        raise locked if (locked := self.outputs.locked.get(source.step)) else AlmaError(words)


async def _told(adapter: StepHandler, call: StepContext, operation: Operation) -> Drift | None:
    if isinstance(adapter, TellsDrift):
        return await adapter.deviations(call, operation)
    assert isinstance(adapter, SeesDrift)  # noqa: S101 - one of both
    changes, failure = await adapter.drift(call, operation)
    resources = (ResourceDrift(urn=one.urn, op=one.op, id=one.id) for one in changes)
    return Drift(resources=tuple(resources), failure=failure)


async def _never(*_: Any, **__: Any) -> Never:
    raise AssertionError("a look at drift performs nothing")


async def _refused(sessions: Sessions) -> dict[str, AlmaError]:
    """By kind, why its steps cannot be asked. What nobody can be without is raised."""
    found: dict[str, AlmaError] = {}
    for kind, session in sessions.items():
        try:
            await session.check()
        except AuthenticationError:
            raise
        except AlmaError as error:
            found[kind] = error
    return found
