"""What all stacks of a run share: the engine, the snapshots, and where AWS steps go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

from alma.core.definition import Definition, StepDefinition
from alma.core.redaction import without_credentials
from alma.pulumi.engine import Engine, StackRef
from alma.steps.base import Session, SessionOptions

if TYPE_CHECKING:
    from alma.pulumi.taken import Held


class StackSession(Session):
    """`stack` is the name that they share; `refs` are all of them."""

    def __init__(self, definition: Definition, asked: SessionOptions, engine: Engine) -> None:
        # Here, as in the rest of this file: whoever only defines a saga loads none of it.
        from alma.pulumi.snapshots import Snapshots, directory_of
        from alma.steps.stack.localstack import provider_config

        self.definition = definition
        self.engine = engine
        self.backend = ""
        self._runs = asked.runs
        self._others: asyncio.Task[Sequence[Held]] | None = None
        self.stack = definition.stack
        self.modules: tuple[ModuleType, ...] = asked.modules
        self.snapshots = Snapshots(directory_of(asked.journal))
        self.defaults: Mapping[str, Any] = (
            provider_config(definition.aws) if definition.aws is not None else {}
        )
        """Config of providers, for what neither a step nor its project says."""
        self._bound: dict[str, StackRef] = {}

    @classmethod
    @asynccontextmanager
    async def open(
        cls, definition: Definition, asked: SessionOptions
    ) -> AsyncIterator[StackSession]:
        """With the engine that is given, or with a Pulumi of its own."""
        if asked.engine is not None:
            yield cls(definition, asked, asked.engine)
            return
        from alma.pulumi.local import PulumiEngine

        engine = PulumiEngine(parallelism=definition.parallelism)
        try:
            yield cls(definition, asked, engine)
        finally:
            await engine.close()

    @property
    def refs(self) -> tuple[StackRef, ...]:
        """The stacks of the saga, with what its file says of them where that is at hand."""
        return tuple(self.ref(step) for step in self.definition.steps if step.kind == "stack")

    def bind(self, step: str, ref: StackRef) -> StackRef:
        """Note what the saga's file says of a step's stack."""
        self._bound[step] = ref
        return ref

    def ref(self, step: StepDefinition) -> StackRef:
        """The stack of a step."""
        ref = StackRef(project=step.project, stack=self.stack, work_dir=step.work_dir)
        bound = self._bound.get(step.name)
        return bound if bound is not None and bound.project == ref.project else ref

    async def check(self) -> Mapping[str, str]:
        """LocalStack answers, the CLI is there, the backend can be used, the passphrase fits."""
        from alma.steps.stack.localstack import require_localstack

        await require_localstack(self.definition)
        facts = await self.engine.check(self.refs)
        self.backend = facts.get("backend", "")
        return facts

    async def others(self) -> Sequence[Held]:
        """What the journal's other stacks on this backend hold, looked at once in a run.

        Of the stacks of this run, what they held when their steps started.
        """
        if self._others is None:
            self._others = asyncio.create_task(self._look())
        return await asyncio.shield(self._others)

    async def _look(self) -> Sequence[Held]:
        from alma.steps.stack.taking import look

        own = {(ref.project, ref.stack) for ref in self.refs}
        refs: dict[tuple[str, str], StackRef] = {}
        kept: list[tuple[StackRef, str]] | None = None
        for run in await asyncio.to_thread(self._runs):
            if without_credentials(run.backend) != self.backend:
                continue
            plan = run.definition
            steps = [step for step in plan.steps if step.project]
            places = {
                step.name: StackRef(project=step.project, stack=plan.stack, work_dir=step.work_dir)
                for step in steps
            }
            if kept is None and plan.target == self.definition.target:
                begun = {name: run.steps[name].started for name in places}
                kept = [
                    (places[name], started.snapshot)
                    for name, started in begun.items()
                    if started is not None and started.snapshot
                ]
            for ref in places.values():
                if (ref.project, ref.stack) not in own:
                    refs.setdefault((ref.project, ref.stack), ref)
        return await look(self.engine, [*refs.values()], self.snapshots, kept or [])
