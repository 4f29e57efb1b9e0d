"""From a step, or from its definition alone, to the adapter of its kind."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Literal

from alma.ansible import AnsibleStep
from alma.definition import StepDefinition
from alma.engine.protocol import Engine, StackRef
from alma.engine.ship import code_digest, ship
from alma.redact import Redactor
from alma.request import HttpStep, Request
from alma.secret import mask
from alma.step import ActionStep, Output, StackStep, Step
from alma.steps.action import ActionAdapter
from alma.steps.ansible import AnsibleAdapter
from alma.steps.base import StepAdapter
from alma.steps.callables import takes_context
from alma.steps.http import HttpAdapter
from alma.steps.stack import StackAdapter
from alma.steps.terraform import TerraformAdapter
from alma.terraform import TerraformStep, configuration
from alma.tools.ansible import require as require_ansible
from alma.tools.http import require as require_httpx
from alma.tools.terraform import Terraform
from alma.values import sources

_ASKED: Final = ("undo", "check")
LARGEST_PROJECT_FILE: Final = 1024 * 1024
"""Bytes up to which a file of a `work_dir` counts for the digest: larger ones are no source."""


def from_plan(
    step: StepDefinition, stack: str, names: frozenset[str], engine: Engine | None
) -> StepAdapter:
    """An adapter that can undo the step without the saga's file, as far as that is possible.

    `names` are those of all steps of the saga.
    """
    if step.kind == "stack":
        return StackAdapter(
            name=step.name,
            ref=stack_ref(step, stack),
            engine=_required(engine),
            compensation=step.compensation,
        )
    if step.kind == "terraform":
        return TerraformAdapter(
            name=step.name,
            terraform=_module(step.work_dir, step.settings),
            sources=sources(step, names),
            compensation=step.compensation,
        )
    if step.kind == "ansible":
        undo_playbook = step.settings.get("undo_playbook")
        return AnsibleAdapter(
            name=step.name,
            undo_playbook=Path(undo_playbook) if undo_playbook else None,
            inventory=step.settings.get("inventory", ""),
            sources=sources(step, names),
        )
    if step.kind == "http":
        asked = {key: Request(**step.settings[key]) for key in _ASKED if key in step.settings}
        return HttpAdapter(
            name=step.name,
            undone_by="none" if step.compensation == "nothing" else asked.get("undo"),
            check=asked.get("check"),
            sources=sources(step, names),
            longest=step.compensation_retry.max_delay,
        )
    undo: Literal["none"] | None = "none" if step.compensation == "nothing" else None
    return ActionAdapter(name=step.name, compensation=undo)


def from_step(
    step: Step, engine: Engine | None, modules: tuple[ModuleType, ...], redactor: Redactor
) -> StepAdapter:
    """An adapter that can do and undo the step; its secrets are made known to `redactor`.

    Raises DefinitionError for what cannot be run.
    """
    redactor.learn(step.inputs)
    if isinstance(step, StackStep):
        return _stack(step, engine, modules, redactor)
    if isinstance(step, TerraformStep):
        return _terraform(step, redactor)
    if isinstance(step, AnsibleStep):
        return _ansible(step, redactor)
    if isinstance(step, HttpStep):
        return _http(step, redactor)
    assert isinstance(step, ActionStep)  # noqa: S101 - the last kind there is
    return _action(step)


def stack_ref(step: StepDefinition, stack: str) -> StackRef:
    """The stack of a step."""
    return StackRef(project=step.project, stack=stack, work_dir=step.work_dir)


def _required(engine: Engine | None) -> Engine:
    if engine is None:
        raise LookupError("a saga with stack steps needs an engine")
    return engine


def _action(step: ActionStep) -> ActionAdapter:
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


def _terraform(step: TerraformStep, redactor: Redactor) -> TerraformAdapter:
    """Raises ToolError when there is no CLI for it."""
    redactor.learn(step.variables)
    undo = step.compensation
    if callable(undo):
        takes_context(undo, f'The compensation of step "{step.name}"')
    terraform = _module(str(step.work_dir), {"program": step.program})
    terraform.locate()
    return TerraformAdapter(
        name=step.name,
        terraform=terraform,
        sources=step.values,
        compensation=undo,
        digest=_digest(
            _code(undo) if callable(undo) else undo,
            _plain(step.values),
            _files_digest(configuration(step.work_dir)),
        ),
    )


def _ansible(step: AnsibleStep, redactor: Redactor) -> AnsibleAdapter:
    """Raises ToolError where Ansible is not installed."""
    require_ansible(os.environ)
    redactor.learn(step.variables)
    return AnsibleAdapter(
        name=step.name,
        playbook=step.playbook,
        undo_playbook=step.undo_playbook,
        inventory=step.inventory,
        secret_outputs=step.secret_outputs,
        sources=step.values,
        digest=_digest(
            _plain(step.values),
            step.inventory,
            list(step.secret_outputs),
            _files_digest(path for path in (step.playbook, step.undo_playbook) if path),
        ),
    )


def _http(step: HttpStep, redactor: Redactor) -> HttpAdapter:
    """Raises ToolError where httpx is not installed."""
    require_httpx()
    parts: list[Any] = [_plain(step.inputs), list(step.secret_outputs)]
    for what, asked in (("do", step.do), ("undo", step.undo), ("check", step.check)):
        if callable(asked):
            takes_context(asked, f'The {what} of step "{step.name}"')
        if isinstance(asked, Request):
            redactor.learn([asked.json, asked.headers, asked.params])
            parts.append(mask(asked.to_json()))
        else:
            parts.append(_code(asked) if callable(asked) else asked)
    return HttpAdapter(
        name=step.name,
        do=step.do,
        undone_by=step.undo,
        check=step.check,
        secret_outputs=step.secret_outputs,
        sources=step.inputs,
        longest=max(step.retry.max_delay, step.compensation_retry.max_delay),
        digest=_digest(*parts),
    )


def _module(work_dir: str, settings: Mapping[str, Any]) -> Terraform:
    return Terraform(work_dir=Path(work_dir), program=settings["program"])


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
    return _files_digest(
        path
        for path in sorted(work_dir.iterdir())
        if not path.name.startswith(".")
        and not (path.name.startswith("Pulumi.") and path.stem != "Pulumi")
        and path.is_file()
    )


def _files_digest(paths: Iterable[Path]) -> str:
    total = hashlib.sha256()
    for path in paths:
        if path.stat().st_size <= LARGEST_PROJECT_FILE:
            total.update(f"{path.name}\0".encode() + path.read_bytes())
    return total.hexdigest()
