"""From the name of a kind, as the journal has it, to its class.

A kind is loaded when there is a step of it: what drives Terraform, Ansible and HTTP is a tenth of
what a run of stacks would load.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from alma.core.definition import StepDefinition
from alma.steps.base import StepHandler
from alma.steps.step import Step
from alma.steps.unbound import UnboundHandler

KINDS: Final = {
    "stack": "alma.steps.stack.step:StackStep",
    "action": "alma.steps.action:ActionStep",
    "terraform": "alma.steps.terraform.step:TerraformStep",
    "ansible": "alma.steps.ansible.step:AnsibleStep",
    "http": "alma.steps.http.step:HttpStep",
    "command": "alma.steps.command.step:CommandStep",
    "saga": "alma.steps.saga.step:SagaStep",
    "approval": "alma.steps.approval.step:ApprovalStep",
    "cloudformation": "alma.steps.cloudformation.step:CloudFormationStep",
}
"""alma's own. Any other kind is its own import path: `acme.steps:FeatureFlag`."""


class UnknownKindError(LookupError):
    """The kind's class cannot be had here; the message says why."""


def find_kind(kind: str) -> type[Step]:
    """The class of a kind."""
    module, _, name = KINDS.get(kind, kind).partition(":")
    if module.endswith(".py"):
        raise UnknownKindError(f"{name} is defined in the saga's own file, {module}")
    try:
        found = getattr(import_module(module), name)
    except Exception as error:
        words = f"{type(error).__name__}: {error}"
        raise UnknownKindError(f"{kind} cannot be imported: {words}") from error
    if not (isinstance(found, type) and issubclass(found, Step)):
        raise UnknownKindError(f"{kind} is no kind of step")
    return found


def sees_alone(kind: str) -> bool:
    """Whether what is left of such a step is seen without code or programs that a journal names."""
    return kind in KINDS and find_kind(kind).sees_alone


def rebind(step: StepDefinition, session: Any = None) -> StepHandler:
    """A handler that undoes the step without the saga's file, or says what it lacks."""
    try:
        kind = find_kind(step.kind)
    except UnknownKindError as error:
        return UnboundHandler(name=step.name, lacks=f'Step "{step.name}": its kind {error}.')
    try:
        return kind.rebind(step, session)
    except (LookupError, TypeError, ValueError) as error:
        words = f"its settings are not those of a step of kind {step.kind} ({error})"
        return UnboundHandler(name=step.name, lacks=f'Step "{step.name}": {words}.')
