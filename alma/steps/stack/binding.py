"""Adapters of Pulumi stacks."""

from __future__ import annotations

from types import ModuleType

from alma.core.definition import StepDefinition
from alma.core.redaction import Redactor
from alma.pulumi.engine import Engine, StackRef
from alma.pulumi.programs import ship
from alma.steps.callables import takes_context
from alma.steps.digests import code, digest, plain, project_digest
from alma.steps.stack.handler import StackHandler
from alma.steps.step import StackStep


def from_plan(step: StepDefinition, stack: str, engine: Engine | None) -> StackHandler:
    """It can destroy what the stack's state holds, or put it back."""
    return StackHandler(
        name=step.name,
        ref=stack_ref(step, stack),
        engine=_required(engine),
        compensation=step.compensation,
    )


def from_step(
    step: StackStep,
    stack: str,
    engine: Engine | None,
    modules: tuple[ModuleType, ...],
    redactor: Redactor,
) -> StackHandler:
    """It can do and undo."""
    redactor.learn(step.config)
    program = None
    if step.program is not None:
        program = ship(step.program, step=step.name, by_value=modules)
    undo = step.compensation
    if callable(undo):
        takes_context(undo, f'The compensation of step "{step.name}"')
    return StackHandler(
        name=step.name,
        ref=step.ref(stack),
        engine=_required(engine),
        program=program,
        config=step.config,
        sources=step.inputs,
        compensation=undo,
        resolver=step.resolver,
        digest=digest(
            code(step.program),
            code(undo) if callable(undo) else undo,
            plain(step.config),
            plain(step.inputs),
            project_digest(step.work_dir) if step.work_dir else "",
        ),
    )


def stack_ref(step: StepDefinition, stack: str) -> StackRef:
    """The stack of a step."""
    return StackRef(project=step.project, stack=stack, work_dir=step.work_dir)


def _required(engine: Engine | None) -> Engine:
    if engine is None:
        raise LookupError("a saga with stack steps needs an engine")
    return engine
