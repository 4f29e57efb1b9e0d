"""From a saga, or from the journal alone, to adapters that can run it. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import ModuleType

from alma.core.definition import Definition, LocalStack
from alma.core.redaction import Redactor
from alma.core.struct import Frozen
from alma.errors import DefinitionError
from alma.pulumi.engine import Engine, StackRef
from alma.pulumi.snapshots import Snapshots
from alma.saga.saga import Saga
from alma.steps.base import StepHandler
from alma.steps.registry import from_plan, from_step
from alma.steps.stack.handler import StackHandler
from alma.steps.stack.localstack import provider_config
from alma.steps.stack.step import stack_ref
from alma.steps.values import without_secrets


class BoundSaga(Frozen):
    """A definition with its digests, an adapter for each step, and the secrets known so far."""

    definition: Definition
    adapters: Mapping[str, StepHandler]
    redactor: Redactor

    @property
    def refs(self) -> tuple[StackRef, ...]:
        """The stacks of the saga."""
        stack = self.definition.stack
        return tuple(
            stack_ref(step, stack) for step in self.definition.steps if step.kind == "stack"
        )

    def keep_snapshots(self, snapshots: Snapshots) -> None:
        """Have stack steps keep what their stacks are before they change them."""
        for adapter in self.adapters.values():
            if isinstance(adapter, StackHandler):
                adapter.snapshots = snapshots


def bind_saga(
    saga: Saga,
    engine: Engine | None,
    modules: tuple[ModuleType, ...] = (),
    aws: LocalStack | None = None,
) -> BoundSaga:
    """Check everything that can be checked before a run, and ship the programs.

    `modules` are modules that a worker could not import: what they define travels by value.
    `aws` is where AWS steps go, if not where the saga says. Raises DefinitionError.
    """
    definition = saga.definition()
    definition = replace(definition, aws=aws or definition.aws)
    redactor = Redactor()
    adapters = {
        step.name: from_step(step, saga.stack, engine, modules, redactor) for step in saga.steps
    }
    for adapter in adapters.values():
        if isinstance(adapter, StackHandler) and definition.aws is not None:
            adapter.defaults = provider_config(definition.aws)
    for name, adapter in adapters.items():
        # Taken once: what a function has closed over may change while it runs.
        saga.digests.setdefault(name, adapter.digest)
    steps = tuple(
        replace(
            step,
            digest=saga.digests[step.name],
            settings=without_secrets(step.settings, redactor),
        )
        for step in definition.steps
    )
    definition = replace(definition, steps=steps)
    return BoundSaga(definition=definition, adapters=adapters, redactor=redactor)


def bind_journaled(definition: Definition, engine: Engine | None) -> BoundSaga:
    """Adapters that can undo stacks without the saga's file; not its actions."""
    names = frozenset(step.name for step in definition.steps)
    adapters = {
        step.name: from_plan(step, definition.stack, names, engine) for step in definition.steps
    }
    return BoundSaga(definition=definition, adapters=adapters, redactor=Redactor())


def require_undo(prepared: BoundSaga, started: frozenset[str]) -> None:
    """Refuse to go back over what no journal keeps and is not at hand; the error names the step."""
    for name in started:
        step = prepared.definition.step(name)
        adapter = prepared.adapters[name]
        hint = "Give the saga's file with --target (or saga=...)."
        bound = callable(getattr(adapter, "compensation", None))
        if step.compensation == "callable" and not bound:
            raise DefinitionError(
                f'The compensation of step "{name}" is a function, which no journal can keep.',
                hint=hint,
            )
        lacks = sorted(set(step.settings.get("secrets", ())) - set(adapter.inputs))
        if lacks:
            raise DefinitionError(
                f'The undo of step "{name}" needs a secret that no journal keeps: {lacks[0]}.',
                hint=hint,
            )
