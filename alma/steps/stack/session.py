"""What all stacks of a run share: the engine, the snapshots, and where AWS steps go."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any

from alma.core.definition import Definition, StepDefinition
from alma.pulumi.engine import Engine, StackRef
from alma.steps.base import Session, SessionOptions


class StackSession(Session):
    """`stack` is the name that they share; `refs` are all of them."""

    def __init__(self, definition: Definition, asked: SessionOptions, engine: Engine) -> None:
        # Here, as in the rest of this file: whoever only defines a saga loads none of it.
        from alma.pulumi.snapshots import Snapshots, directory_of
        from alma.steps.stack.localstack import provider_config

        self.definition = definition
        self.engine = engine
        self.stack = definition.stack
        self.modules: tuple[ModuleType, ...] = asked.modules
        self.snapshots = Snapshots(directory_of(asked.journal))
        self.defaults: Mapping[str, Any] = (
            provider_config(definition.aws) if definition.aws is not None else {}
        )
        """Config of providers, for what neither a step nor its project says."""

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
        """The stacks of the saga."""
        return tuple(self.ref(step) for step in self.definition.steps if step.kind == "stack")

    def ref(self, step: StepDefinition) -> StackRef:
        """The stack of a step."""
        return StackRef(project=step.project, stack=self.stack, work_dir=step.work_dir)

    async def check(self) -> Mapping[str, str]:
        """LocalStack answers, the CLI is there, the backend can be used, the passphrase fits."""
        from alma.steps.stack.localstack import require_localstack

        await require_localstack(self.definition)
        return await self.engine.check(self.refs)
