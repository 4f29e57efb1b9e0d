"""Adapters of callables."""

from __future__ import annotations

from typing import Literal

from alma.core.definition import StepDefinition
from alma.steps.action import ActionHandler
from alma.steps.callables import takes_context
from alma.steps.digests import code, digest, plain
from alma.steps.step import ActionStep


def from_plan(step: StepDefinition) -> ActionHandler:
    """It can undo nothing: that is in the saga's file."""
    undo: Literal["none"] | None = "none" if step.compensation == "nothing" else None
    return ActionHandler(name=step.name, compensation=undo)


def from_step(step: ActionStep) -> ActionHandler:
    """It can do and undo."""
    takes_context(step.action, f'The action of step "{step.name}"')
    undo = step.compensation
    if callable(undo):
        takes_context(undo, f'The compensation of step "{step.name}"')
    return ActionHandler(
        name=step.name,
        action=step.action,
        compensation=undo,
        sources=step.inputs,
        digest=digest(
            code(step.action), code(undo) if callable(undo) else undo, plain(step.inputs)
        ),
    )
