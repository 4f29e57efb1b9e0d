"""A step that is an Ansible playbook: its definition, and what does and undoes it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alma.core.definition import StepDefinition
from alma.errors import DefinitionError, ToolError
from alma.steps.ansible.form import FORM
from alma.steps.base import Check, DoctorOptions, Session
from alma.steps.step import Step, plain_variables
from alma.steps.values import digest, files_digest, inputs_of, journaled_values, lacking, plain
from alma.system.environment import ANSIBLE, PYTHON

if TYPE_CHECKING:
    from alma.steps.ansible.handler import AnsibleHandler


@dataclass(frozen=True, kw_only=True)
class AnsibleStep(Step):
    """A playbook, and the one that undoes it. `inventory` is a path, a list of hosts, or None."""

    kind = "ansible"
    form = FORM
    playbook: Path
    undo_playbook: Path | None = None
    inventory: str | Path | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    secret_outputs: Iterable[str] = ()
    optional_hosts: Iterable[str] = ()
    """Patterns of plays that may match no host."""

    def validate(self) -> None:
        """Playbooks and inventory are there."""
        self._set("variables", plain_variables(self, self.variables))
        for what in ("playbook", "undo_playbook"):
            if (given := getattr(self, what)) is not None:
                check_playbook(self.where, path := Path(given).absolute())
                self._set(what, path)
        self._set("inventory", find_inventory(self.where, self.inventory))
        for what in ("secret_outputs", "optional_hosts"):
            names = getattr(self, what)
            self._set(what, (names,) if isinstance(names, str) else tuple(names))

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
        if self.optional_hosts:
            settings["optional_hosts"] = list(self.optional_hosts)
        return {"compensation": "playbook", "settings": settings}

    def bind(self, session: Session) -> AnsibleHandler:  # noqa: ARG002 - one signature for all
        """It can do and undo. Raises ToolError where Ansible is not installed."""
        from alma.steps.ansible.handler import AnsibleHandler
        from alma.steps.ansible.playbook import require

        require(os.environ)
        return AnsibleHandler(
            name=self.name,
            playbook=self.playbook,
            undo_playbook=self.undo_playbook,
            inventory=str(self.inventory),
            secret_outputs=tuple(self.secret_outputs),
            optional_hosts=tuple(self.optional_hosts),
            inputs=self.values,
            digest=digest(
                plain(self.values),
                self.inventory,
                list(self.secret_outputs),
                *self.optional_hosts,
                files_digest(path for path in (self.playbook, self.undo_playbook) if path),
            ),
        )

    @classmethod
    def rebind(cls, definition: StepDefinition, session: Session | None) -> AnsibleHandler:  # noqa: ARG003
        """It can run the playbook that undoes."""
        from alma.steps.ansible.handler import AnsibleHandler

        undo_playbook = definition.settings.get("undo_playbook")
        return AnsibleHandler(
            name=definition.name,
            undo_playbook=Path(undo_playbook) if undo_playbook else None,
            inventory=definition.settings.get("inventory", ""),
            optional_hosts=tuple(definition.settings.get("optional_hosts", ())),
            inputs=inputs_of(definition),
            lacks=lacking(definition),
        )

    @classmethod
    async def doctor(cls, asked: DoctorOptions) -> Sequence[Check]:
        """Ansible and ansible-runner, and that they start."""
        from importlib import metadata

        from alma.steps.ansible.playbook import require_start

        try:
            await require_start(asked.cwd, asked.environ)
            version = metadata.version("ansible-runner")
        except ToolError as error:
            return (Check.missing("ansible", error.message, error.hint),)
        except metadata.PackageNotFoundError as error:
            return (Check.missing("ansible", str(error), "pip install 'alma-pulumi[ansible]'"),)
        found = Check(name="ansible", level="ok", message=f"ansible-runner {version}")
        return (found, *Check.flags("Ansible", asked.environ, ANSIBLE, PYTHON))


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
