"""Adapters of Terraform root modules."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alma.core.definition import StepDefinition
from alma.core.redaction import Redactor
from alma.steps.callables import takes_context
from alma.steps.digests import code, digest, files_digest, plain
from alma.steps.terraform.cli import Terraform
from alma.steps.terraform.handler import TerraformHandler
from alma.steps.terraform.step import TerraformStep, configuration
from alma.steps.values import sources


def from_plan(step: StepDefinition, names: frozenset[str]) -> TerraformHandler:
    """It can destroy what the module's state holds; `names` are those of all steps."""
    return TerraformHandler(
        name=step.name,
        terraform=_module(step.work_dir, step.settings),
        sources=sources(step, names),
        compensation=step.compensation,
    )


def from_step(step: TerraformStep, redactor: Redactor) -> TerraformHandler:
    """It can do and undo. Raises ToolError when there is no CLI for it."""
    redactor.learn(step.variables)
    undo = step.compensation
    if callable(undo):
        takes_context(undo, f'The compensation of step "{step.name}"')
    terraform = _module(str(step.work_dir), {"program": step.program})
    terraform.locate()
    return TerraformHandler(
        name=step.name,
        terraform=terraform,
        sources=step.values,
        compensation=undo,
        digest=digest(
            code(undo) if callable(undo) else undo,
            plain(step.values),
            files_digest(configuration(step.work_dir)),
        ),
    )


def _module(work_dir: str, settings: Mapping[str, Any]) -> Terraform:
    return Terraform(work_dir=Path(work_dir), program=settings["program"])
