"""What all stacks of a run share: the engine, the snapshots, and where AWS steps go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from alma.core.definition import Definition, StepDefinition
from alma.core.run import RunStatus
from alma.pulumi.engine import Engine, StackRef
from alma.steps.base import Session, SessionOptions
from alma.steps.stack.places import (
    OF_BACKEND,
    Places,
    backends_of,
    require_organization,
    told_of_backend,
)

if TYPE_CHECKING:
    from alma.pulumi.left_locks import Known
    from alma.pulumi.taken import Held


class StackSession(Session):
    """`stack` is the name that they share; `refs` are all of them."""

    def __init__(
        self, definition: Definition, asked: SessionOptions, engine: Engine, places: Places
    ) -> None:
        # Here, as in the rest of this file: whoever only defines a saga loads none of it.
        from alma.pulumi.snapshot_files import snapshots_of
        from alma.steps.stack.localstack import provider_config

        self.definition = definition
        self.engine = engine
        self._journal = asked.journal
        self._runs = asked.runs
        self._last = asked.last
        self._write = asked.write
        self._secrets_provider = asked.secrets_provider
        self._others: asyncio.Task[Sequence[Held]] | None = None
        self.stack = definition.stack
        self.modules: tuple[ModuleType, ...] = asked.modules
        self.snapshots = snapshots_of(asked.journal, asked.snapshots)
        self.defaults: Mapping[str, Any] = (
            provider_config(definition.aws) if definition.aws is not None else {}
        )
        """Config of providers, for what neither a step nor its project says."""
        self._bound: dict[str, StackRef] = {}
        self._places = places

    @classmethod
    @asynccontextmanager
    async def open(
        cls, definition: Definition, asked: SessionOptions
    ) -> AsyncIterator[StackSession]:
        """With the engine that is given, or with a Pulumi of its own."""
        places = Places.of(asked)
        if asked.engine is not None:
            yield cls(definition, asked, asked.engine, places)
            return
        from alma.pulumi.local import PulumiEngine

        engine = PulumiEngine(
            parallelism=definition.parallelism,
            cwd=asked.directory,
            backend=asked.backend,
            kept=places.run if asked.follow else "",
            idle=asked.idle,
            known=partial(_known, asked.runs),
        )
        try:
            yield cls(definition, asked, engine, places)
        finally:
            await engine.close()

    @property
    def refs(self) -> tuple[StackRef, ...]:
        """The stacks of the saga, with what its file says of them where that is at hand."""
        return tuple(self.ref(step) for step in self.definition.steps if step.kind == "stack")

    def bind(self, name: str, said: StackRef) -> StackRef:
        """The stack of a step, with what the saga's file says of it, which is noted."""
        from alma.pulumi.project import encrypted_by

        self._bound[name] = encrypted_by(said, self._secrets_provider)
        own = (name, said.project)
        step = next(one for one in self.definition.steps if (one.name, one.project) == own)
        return self.ref(step)

    def ref(self, step: StepDefinition) -> StackRef:
        """The stack of a step."""
        ref = StackRef(project=step.project, stack=self.stack, work_dir=step.work_dir)
        bound = self._bound.get(step.name)
        if bound is not None and bound.project == ref.project:
            ref = bound
        backend = self._places.own(step)
        return replace(ref, backend=backend, organization=self.definition.organization)

    def settled(self, step: StepDefinition) -> StepDefinition:
        """With the backend that its state goes to, where that is not the whole run's."""
        ref = self.ref(step)
        there = told_of_backend(ref.backend)
        if there and there["backend"] != self.engine.where(ref):
            there = {}  # PULUMI_BACKEND_URL goes before what projects say
        kept = {key: said for key, said in step.settings.items() if key not in OF_BACKEND}
        return replace(step, settings={**kept, **there})

    async def check(self) -> Mapping[str, str]:
        """LocalStack answers, the CLI is there, the backend can be used, the passphrase fits.

        Before that: the stacks are where the last run has left them.
        """
        from alma.steps.stack.encryption import otherwise_encrypted
        from alma.steps.stack.localstack import require_localstack
        from alma.steps.stack.reach import require_reached

        await require_localstack(self.definition)
        localstack = await self._localstack()
        for step in self.definition.steps:
            if step.kind == "stack":
                where = self.engine.where(self.ref(step))
                require_organization(self.definition.organization, where)
                self._places.require(step, where)
        facts = await self.engine.check(self.refs, write=self._write)
        refs = {step.name: self.ref(step) for step in self.definition.steps if step.project}
        await require_reached(self.engine, self._last, refs, follow=self._places.follow)
        await self._look_at_python()
        if self._secrets_provider and self._write:
            others = await otherwise_encrypted(self.engine, self.refs, self._secrets_provider)
            self.notes = (*self.notes, *others)
        return {**facts, **localstack}

    async def _localstack(self) -> dict[str, str]:
        """Which LocalStack it is; one that was started anew has forgotten what was made there."""
        from alma.steps.stack.localstack import session_of

        aws, last = self.definition.aws, self._last
        if aws is None or not any(step.kind == "stack" for step in self.definition.steps):
            return {}
        now = await asyncio.to_thread(session_of, aws)
        same = last is not None and last.definition.aws == aws
        if last is not None and same and now and last.localstack not in ("", now):
            note = f"LocalStack at {aws.url} was started anew since run {last.run}: "
            note += "unless it keeps its state, what was made there is gone"
            self.notes = (*self.notes, note)
        return {"localstack": now} if now else {}

    async def _look_at_python(self) -> None:
        """Find what another minor version has compiled, and an undo would run: refused, or told."""
        from alma.pulumi import plugins

        last = self._last
        if last is None:
            return
        runs: Sequence[RunStatus] = (last,)
        if last.kind != "up" or not last.is_whole or not last.python:
            runs = await asyncio.to_thread(self._runs)
        target = self.definition.target
        ups = [run for run in runs if run.kind == "up" and run.definition.target == target]
        for ref in self.refs:
            made = next((minor_version(run.python) for run in ups if _has(run, ref.project)), "")
            if made in ("", plugins.HERE):
                continue
            if names := await self.engine.compiled(ref):
                error = plugins.other_python(ref, names, made)
                if self._places.follow:
                    raise error
                lost = "If this run fails, what it changes of them cannot be put back"
                self.notes = (*self.notes, f"{error.message} {lost}")

    async def others(self) -> Sequence[Held]:
        """What the journal's other stacks on this backend hold, looked at once in a run.

        Of the stacks of this run, what they held when their steps started.
        """
        if self._others is None:
            self._others = asyncio.create_task(self._look())
        return await asyncio.shield(self._others)

    async def _look(self) -> Sequence[Held]:
        from alma.steps.stack.taking import look

        own = {(ref.project, ref.qualified) for ref in self.refs}
        refs: dict[tuple[str, str], StackRef] = {}
        kept: list[tuple[StackRef, str]] | None = None
        here = {self.engine.where(ref): ref.backend for ref in self.refs}
        for run in await asyncio.to_thread(self._runs):
            plan, urls = run.definition, backends_of(run, self._journal)
            places = {
                step.name: StackRef(
                    project=step.project,
                    stack=plan.stack,
                    work_dir=step.work_dir,
                    organization=plan.organization,
                    backend=here[urls[step.name]],
                )
                for step in plan.steps
                if step.project and urls[step.name] in here
            }
            if kept is None and plan.target == self.definition.target:
                begun = {name: run.steps[name].started for name in places}
                kept = [
                    (places[name], started.snapshot)
                    for name, started in begun.items()
                    if started is not None and started.snapshot
                ]
            for ref in places.values():
                if (ref.project, ref.qualified) not in own:
                    refs.setdefault((ref.project, ref.qualified), ref)
        return await look(self.engine, [*refs.values()], self.snapshots, kept or [])


def _known(runs: Callable[[], Sequence[RunStatus]], ref: StackRef) -> Known:
    """What the journal knows of who has worked on the stack, in any run."""
    from alma.core.event_parts import Gone
    from alma.pulumi.left_locks import Known

    stack = (ref.organization, ref.stack, ref.project)
    worked = [
        (step, run)
        for run in runs()
        for step in run.steps.values()
        if (run.definition.organization, run.definition.stack, step.definition.project) == stack
    ]
    return Known(
        processes=tuple(one for step, _ in worked for one in (*step.ended, *step.cut_off)),
        # A host of that name may be there again later: what it locks then is its own.
        gone=tuple(
            Gone(
                hosts=run.gone.intersection(step.hosts),
                since=step.began_at.timestamp(),
                until=run.heard_at.timestamp(),
            )
            for step, run in worked
            if run.gone.intersection(step.hosts) and step.began_at and run.heard_at
        ),
    )


def _has(run: RunStatus, project: str) -> bool:
    return any(step.project == project for step in run.definition.steps)


def minor_version(version: str) -> str:
    """Of 3.12.1 the 3.12."""
    return ".".join(version.split(".")[:2])
