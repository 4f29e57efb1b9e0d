"""From a saga, or from the journal alone, to adapters that can run it. Writes nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from alma.definition import Definition, StepDefinition
from alma.engine.protocol import Engine, StackRef
from alma.engine.ship import code_digest, ship
from alma.errors import DefinitionError
from alma.redact import Redactor
from alma.saga import Saga
from alma.secret import mask
from alma.snapshots import Snapshots
from alma.step import ActionStep, Output, StackStep, Step
from alma.steps.action import ActionAdapter
from alma.steps.base import StepAdapter
from alma.steps.callables import takes_context
from alma.steps.stack import StackAdapter

LARGEST_PROJECT_FILE = 1024 * 1024
"""Bytes up to which a file of a `work_dir` counts for the digest: larger ones are no source."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A definition with its digests, an adapter for each step, and the secrets known so far."""

    definition: Definition
    adapters: Mapping[str, StepAdapter]
    redactor: Redactor

    @property
    def refs(self) -> tuple[StackRef, ...]:
        """The stacks of the saga."""
        stack = self.definition.stack
        return tuple(_ref(step, stack) for step in self.definition.steps if step.kind == "stack")

    def keep_snapshots(self, snapshots: Snapshots) -> None:
        """Have stack steps keep what their stacks are before they change them."""
        for adapter in self.adapters.values():
            if isinstance(adapter, StackAdapter):
                adapter.snapshots = snapshots


def from_saga(saga: Saga, engine: Engine | None, modules: tuple[ModuleType, ...] = ()) -> Prepared:
    """Check everything that can be checked before a run, and ship the programs.

    `modules` are modules that a worker could not import: what they define travels by value.
    Raises DefinitionError.
    """
    definition = saga.definition()
    redactor = Redactor()
    adapters = {step.name: _adapter(step, engine, modules, redactor) for step in saga.steps}
    for name, adapter in adapters.items():
        # Taken once: what a function has closed over may change while it runs.
        saga.digests.setdefault(name, adapter.digest)
    steps = tuple(replace(step, digest=saga.digests[step.name]) for step in definition.steps)
    definition = replace(definition, steps=steps)
    return Prepared(definition=definition, adapters=adapters, redactor=redactor)


def from_definition(definition: Definition, engine: Engine | None) -> Prepared:
    """Adapters that can undo stacks without the saga's file; not its actions."""
    adapters: dict[str, StepAdapter] = {}
    for step in definition.steps:
        if step.kind == "stack":
            adapters[step.name] = StackAdapter(
                name=step.name,
                ref=_ref(step, definition.stack),
                engine=_required(engine),
                compensation=step.compensation,
            )
        else:
            undo: Literal["none"] | None = "none" if step.compensation == "nothing" else None
            adapters[step.name] = ActionAdapter(name=step.name, compensation=undo)
    return Prepared(definition=definition, adapters=adapters, redactor=Redactor())


def _required(engine: Engine | None) -> Engine:
    if engine is None:
        raise LookupError("a saga with stack steps needs an engine")
    return engine


def _ref(step: StepDefinition, stack: str) -> StackRef:
    return StackRef(project=step.project, stack=stack, work_dir=step.work_dir)


def _adapter(
    step: Step, engine: Engine | None, modules: tuple[ModuleType, ...], redactor: Redactor
) -> StepAdapter:
    redactor.learn(step.inputs)
    if isinstance(step, StackStep):
        return _stack(step, engine, modules, redactor)
    assert isinstance(step, ActionStep)  # noqa: S101 - the two kinds there are
    takes_context(step.action, f'The action of step "{step.name}"')
    undo = step.compensation
    if callable(undo):
        takes_context(undo, f'The compensation of step "{step.name}"')
    return ActionAdapter(
        name=step.name,
        action=step.action,
        compensation=undo,
        sources=step.inputs,
        digest=_digest(
            _code(step.action), _code(undo) if callable(undo) else undo, _plain(step.inputs)
        ),
    )


def _stack(
    step: StackStep, engine: Engine | None, modules: tuple[ModuleType, ...], redactor: Redactor
) -> StackAdapter:
    redactor.learn(step.config)
    program = None
    if step.program is not None:
        program = ship(step.program, step=step.name, by_value=modules)
    undo = step.compensation
    if callable(undo):
        takes_context(undo, f'The compensation of step "{step.name}"')
    work_dir = str(step.work_dir or "")
    return StackAdapter(
        name=step.name,
        ref=StackRef(project=step.project, stack=step.saga.stack, work_dir=work_dir),
        engine=_required(engine),
        program=program,
        config=step.config,
        sources=step.inputs,
        compensation=undo,
        resolver=step.resolver,
        digest=_digest(
            _code(step.program),
            _code(undo) if callable(undo) else undo,
            _plain(step.config),
            _plain(step.inputs),
            _project_digest(step.work_dir) if step.work_dir else "",
        ),
    )


def _code(function: Callable[..., Any] | None) -> str:
    return "" if function is None else code_digest(function)


def _plain(values: Mapping[str, Any]) -> Any:
    """Config as it counts for the digest: of a secret, only that there is one."""
    return {
        key: f"{value.step}.{value.name}" if isinstance(value, Output) else mask(value)
        for key, value in values.items()
    }


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _project_digest(work_dir: Path) -> str:
    """Of the files in the project's directory itself, stack settings left out."""
    total = hashlib.sha256()
    for path in sorted(work_dir.iterdir()):
        settings = path.name.startswith("Pulumi.") and path.stem != "Pulumi"
        if path.name.startswith(".") or settings or not path.is_file():
            continue
        if path.stat().st_size <= LARGEST_PROJECT_FILE:
            total.update(f"{path.name}\0".encode() + path.read_bytes())
    return total.hexdigest()


def check_bound(prepared: Prepared, started: frozenset[str]) -> None:
    """Refuse to go back over a callable that is not at hand; DefinitionError names the step."""
    for name in started:
        step = prepared.definition.step(name)
        adapter = prepared.adapters[name]
        bound = callable(getattr(adapter, "compensation", None))
        if step.compensation == "callable" and not bound:
            raise DefinitionError(
                f'The compensation of step "{name}" is a function, which no journal can keep.',
                hint="Give the saga's file with --target (or saga=...).",
            )
