"""A step that is an Ansible playbook: its definition, and what does and undoes it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alma.core.definition import StepDefinition
from alma.core.redaction import Redactor
from alma.core.validation import check_name
from alma.errors import DefinitionError
from alma.steps.step import Step, StepOptions, check_variables, step_options
from alma.steps.values import digest, files_digest, inputs_of, journaled_values, plain

if TYPE_CHECKING:
    from alma.steps.ansible.handler import AnsibleHandler


@dataclass(frozen=True, kw_only=True)
class AnsibleStep(Step):
    """A playbook, and the one that undoes it. `inventory` is a path, a list of hosts, or empty."""

    kind = "ansible"
    playbook: Path
    undo_playbook: Path | None
    inventory: str
    variables: Mapping[str, Any]
    secret_outputs: tuple[str, ...]

    @property
    def values(self) -> dict[str, Any]:
        """All extra variables: values and references."""
        return {**self.variables, **self.inputs}

    def kind_fields(self) -> dict[str, Any]:
        """What undoes it, and with which variables."""
        if self.undo_playbook is None:
            return {"compensation": "none"}
        settings = {
            "undo_playbook": str(self.undo_playbook),
            "inventory": self.inventory,
            **journaled_values(self.values),
        }
        return {"compensation": "playbook", "settings": settings}


def ansible_step(
    owner: object,
    name: str,
    playbooks: tuple[str | Path, str | Path | None],
    inventory: str | Path | None,
    variables: Mapping[str, Any] | None,
    secret_outputs: Iterable[str],
    options: StepOptions,
) -> AnsibleStep:
    """See `Saga.add_ansible`; `playbooks` are the one and its undo."""
    where = f'Step "{check_name("step", name)}"'
    values = dict(variables or {})
    check_variables(where, values, options)
    paths = [Path(path).absolute() for path in playbooks if path is not None]
    for path in paths:
        check_playbook(where, path)
    return AnsibleStep(
        playbook=paths[0],
        undo_playbook=paths[1] if len(paths) > 1 else None,
        inventory=find_inventory(where, inventory),
        variables=values,
        secret_outputs=tuple(secret_outputs),
        **step_options(owner, where, name, **options),
    )


def check_playbook(where: str, path: Path) -> None:
    """Refuse a playbook that is not there or no list of plays; Ansible checks the rest."""
    import yaml

    try:
        # Composed, not constructed: tags of Ansible's own (!vault) are no business of ours.
        document = yaml.compose(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DefinitionError(f"{where}: there is no playbook {path}.") from error
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise DefinitionError(f"{where}: {path}{line}: {error.problem}.") from error
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DefinitionError(f"{where}: {path} cannot be read: {error}.") from error
    plays = document.value if isinstance(document, yaml.SequenceNode) else []
    if not plays or not all(isinstance(play, yaml.MappingNode) for play in plays):
        raise DefinitionError(
            f"{where}: {path} is no playbook.", hint="A playbook is a YAML list of plays."
        )


def find_inventory(where: str, inventory: str | Path | None) -> str:
    """The inventory as Ansible is given it: an absolute path, or hosts with a comma."""
    if inventory is None:
        return ""
    if isinstance(inventory, str) and "," in inventory:
        return inventory
    path = Path(inventory).absolute()
    if not path.exists():
        raise DefinitionError(
            f"{where}: there is no inventory {path}.",
            hint='Give a file or directory, or hosts with a comma ("localhost,").',
        )
    return str(path)


def from_plan(step: StepDefinition, names: frozenset[str]) -> AnsibleHandler:
    """It can run the playbook that undoes; `names` are those of all steps."""
    from alma.steps.ansible.handler import AnsibleHandler

    undo_playbook = step.settings.get("undo_playbook")
    return AnsibleHandler(
        name=step.name,
        undo_playbook=Path(undo_playbook) if undo_playbook else None,
        inventory=step.settings.get("inventory", ""),
        inputs=inputs_of(step, names),
    )


def from_step(step: AnsibleStep, redactor: Redactor) -> AnsibleHandler:
    """It can do and undo. Raises ToolError where Ansible is not installed."""
    from alma.steps.ansible.handler import AnsibleHandler
    from alma.steps.ansible.playbook import require

    require(os.environ)
    redactor.learn(step.variables)
    return AnsibleHandler(
        name=step.name,
        playbook=step.playbook,
        undo_playbook=step.undo_playbook,
        inventory=step.inventory,
        secret_outputs=step.secret_outputs,
        inputs=step.values,
        digest=digest(
            plain(step.values),
            step.inventory,
            list(step.secret_outputs),
            files_digest(path for path in (step.playbook, step.undo_playbook) if path),
        ),
    )
