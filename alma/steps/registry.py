"""From a step, or from its definition alone, to the handler of its kind.

A kind is loaded when there is a step of it: what drives Terraform, Ansible and HTTP is a tenth of
what a run of stacks would load.
"""

from __future__ import annotations

from types import ModuleType

from alma.core.definition import Kind, StepDefinition
from alma.core.redaction import Redactor
from alma.pulumi.engine import Engine
from alma.steps.action import ActionStep
from alma.steps.base import StepHandler
from alma.steps.stack.step import StackStep
from alma.steps.step import Step


def from_plan(
    step: StepDefinition, stack: str, names: frozenset[str], engine: Engine | None
) -> StepHandler:
    """A handler that can undo the step without the saga's file, as far as that is possible.

    `names` are those of all steps of the saga.
    """
    if step.kind == "stack":
        from alma.steps.stack import step as stacks

        return stacks.from_plan(step, stack, engine)
    if step.kind == "action":
        from alma.steps import action

        return action.from_plan(step)
    handler: StepHandler = _tool(step.kind).from_plan(step, names)
    return handler


def from_step(
    step: Step,
    stack: str,
    engine: Engine | None,
    modules: tuple[ModuleType, ...],
    redactor: Redactor,
) -> StepHandler:
    """A handler that can do and undo the step; its secrets are made known to `redactor`.

    Raises DefinitionError for what cannot be run.
    """
    redactor.learn(step.inputs)
    if isinstance(step, StackStep):
        from alma.steps.stack import step as stacks

        return stacks.from_step(step, stack, engine, modules, redactor)
    if isinstance(step, ActionStep):
        from alma.steps import action

        return action.from_step(step)
    handler: StepHandler = _tool(step.kind).from_step(step, redactor)
    return handler


def _tool(kind: Kind) -> ModuleType:
    if kind == "terraform":
        from alma.steps.terraform import step as terraform

        return terraform
    if kind == "ansible":
        from alma.steps.ansible import step as ansible

        return ansible
    from alma.steps.http import step as http

    return http
