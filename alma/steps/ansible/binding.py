"""Adapters of Ansible playbooks."""

from __future__ import annotations

import os
from pathlib import Path

from alma.core.definition import StepDefinition
from alma.core.redaction import Redactor
from alma.steps.ansible.handler import AnsibleHandler
from alma.steps.ansible.playbook import require
from alma.steps.ansible.step import AnsibleStep
from alma.steps.digests import digest, files_digest, plain
from alma.steps.values import sources


def from_plan(step: StepDefinition, names: frozenset[str]) -> AnsibleHandler:
    """It can run the playbook that undoes; `names` are those of all steps."""
    undo_playbook = step.settings.get("undo_playbook")
    return AnsibleHandler(
        name=step.name,
        undo_playbook=Path(undo_playbook) if undo_playbook else None,
        inventory=step.settings.get("inventory", ""),
        sources=sources(step, names),
    )


def from_step(step: AnsibleStep, redactor: Redactor) -> AnsibleHandler:
    """It can do and undo. Raises ToolError where Ansible is not installed."""
    require(os.environ)
    redactor.learn(step.variables)
    return AnsibleHandler(
        name=step.name,
        playbook=step.playbook,
        undo_playbook=step.undo_playbook,
        inventory=step.inventory,
        secret_outputs=step.secret_outputs,
        sources=step.values,
        digest=digest(
            plain(step.values),
            step.inventory,
            list(step.secret_outputs),
            files_digest(path for path in (step.playbook, step.undo_playbook) if path),
        ),
    )
