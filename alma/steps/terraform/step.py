"""A step that is a Terraform root module: its definition, and what does and undoes it."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from alma.core.definition import Definition, StepDefinition
from alma.core.validation import check_choice
from alma.errors import DefinitionError, ToolError
from alma.steps.base import Check, DoctorOptions, SessionOptions
from alma.steps.step import Step, plain_variables
from alma.steps.terraform.form import FORM
from alma.steps.values import (
    code,
    digest,
    files_digest,
    inputs_of,
    journaled_values,
    lacking,
    plain,
)
from alma.system.environment import TERRAFORM

if TYPE_CHECKING:
    from alma.steps.terraform.handler import TerraformHandler
    from alma.steps.terraform.ownership import TerraformSession

TerraformCompensation = Literal["destroy", "retain"] | Callable[..., Any]

SUFFIXES: Final = (".tf", ".tf.json", ".tofu", ".tofu.json")
"""Of configuration files; the last two are OpenTofu's alone."""

_WORKSPACE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,89}")
_VARIABLE: Final = re.compile(r'^[ \t]*variable[ \t]+"?([\w-]+)"?[ \t]*\{', re.MULTILINE)
"""On one line, as the language wants it."""


@dataclass(frozen=True, kw_only=True)
class TerraformStep(Step):
    """A root module in `work_dir`; `program` is the CLI, or empty for the one on PATH."""

    kind = "terraform"
    form = FORM
    sees_alone = False  # `program` may be any
    work_dir: Path
    variables: Mapping[str, Any] = field(default_factory=dict)
    program: str = ""
    workspace: str = ""
    compensation: TerraformCompensation = "destroy"

    def validate(self) -> None:
        """The module is there, and declares the variables that it is given."""
        if not callable(self.compensation):
            choices = ("destroy", "retain")
            check_choice(f"{self.where}: compensation", self.compensation, choices)
        if self.workspace and not _WORKSPACE.fullmatch(str(self.workspace)):
            raise DefinitionError(
                f"{self.where}: {self.workspace!r} cannot be the name of a workspace.",
                hint="Letters, digits, dots, dashes and underscores.",
            )
        self._set("variables", plain_variables(self, self.variables))
        self._set("work_dir", Path(self.work_dir).absolute())
        check_module(self.where, self.work_dir, self.values)

    @property
    def values(self) -> dict[str, Any]:
        """All that its variables are given: values and references."""
        return {**self.variables, **self.inputs}

    @property
    def owns(self) -> tuple[tuple[str, str], ...]:
        """Its state."""
        return (("state: both have the work_dir", str(self.work_dir)),)

    def kind_fields(self) -> dict[str, Any]:
        """Where it is, how it is undone, and what a destroy must be given."""
        return {
            "work_dir": str(self.work_dir),
            "compensation": "callable" if callable(self.compensation) else self.compensation,
            "settings": {
                "program": self.program,
                **({"workspace": self.workspace} if self.workspace else {}),
                **journaled_values(self.values),
            },
        }

    @classmethod
    @asynccontextmanager
    async def open(
        cls, definition: Definition, asked: SessionOptions
    ) -> AsyncIterator[TerraformSession]:
        """What the journal says of others' modules."""
        from alma.steps.terraform.ownership import TerraformSession

        yield TerraformSession(definition, asked)

    def bind(self, session: TerraformSession) -> TerraformHandler:
        """It can do and undo. Raises ToolError when there is no CLI for it."""
        from alma.steps.callables import takes_context
        from alma.steps.terraform.cli import module_of
        from alma.steps.terraform.handler import TerraformHandler

        undo = self.compensation
        if callable(undo):
            takes_context(undo, f'The compensation of step "{self.name}"')
        plan = self.define(None)
        terraform = module_of(plan)
        terraform.locate()
        return TerraformHandler(
            name=self.name,
            terraform=terraform,
            owned=partial(session.require_own, plan),
            cut_off=session.cut_off,
            inputs=self.values,
            compensation=undo,
            digest=digest(
                code(undo) if callable(undo) else undo,
                plain(self.values),
                files_digest(configuration(self.work_dir)),
            ),
        )

    @classmethod
    def rebind(
        cls, definition: StepDefinition, session: TerraformSession | None
    ) -> TerraformHandler:
        """It can destroy what the module's state holds."""
        from alma.steps.terraform.cli import module_of
        from alma.steps.terraform.handler import TerraformHandler
        from alma.steps.terraform.state import no_cut_off

        return TerraformHandler(
            name=definition.name,
            terraform=module_of(definition),
            cut_off=session.cut_off if session is not None else no_cut_off,
            inputs=inputs_of(definition),
            compensation=definition.compensation,
            lacks=lacking(definition),
        )

    @classmethod
    async def doctor(cls, asked: DoctorOptions) -> Sequence[Check]:
        """Its CLI."""
        from alma.steps.terraform.cli import locate

        try:
            path = locate("", asked.environ)
        except ToolError as error:
            return (Check.missing("terraform", error.message, error.hint),)
        found = Check(name="terraform", level="ok", message=path)
        return (found, *Check.flags("Terraform", asked.environ, TERRAFORM))


def check_module(where: str, directory: Path, given: Iterable[str]) -> None:
    """Refuse a directory without configuration, and values for variables that it lacks."""
    if not directory.is_dir():
        raise DefinitionError(f"{where}: there is no directory {directory}.")
    files = configuration(directory)
    if not files:
        raise DefinitionError(
            f"{where}: {directory} has no Terraform configuration.",
            hint="Give the directory of a root module, with its *.tf files, as work_dir.",
        )
    declared = {name for path in files for name in _variables(where, path)}
    unknown = sorted(set(given) - declared)
    if unknown:
        has = ", ".join(sorted(declared)) or "none"
        raise DefinitionError(
            f'{where}: the module in {directory} declares no variable "{unknown[0]}".',
            hint=f"It declares: {has}.",
        )


def configuration(directory: Path) -> list[Path]:
    """The files that Terraform reads as the root module, in order."""
    return sorted(
        path for path in directory.iterdir() if path.name.endswith(SUFFIXES) and path.is_file()
    )


def _variables(where: str, path: Path) -> set[str]:
    """The names a file declares; Terraform itself will say what is wrong with the rest of it."""
    try:
        text = path.read_text(encoding="utf-8")
        if not path.name.endswith(".json"):
            return set(_VARIABLE.findall(text))
        content = json.loads(text)
    except (OSError, ValueError) as error:
        raise DefinitionError(f"{where}: {path} cannot be read: {error}.") from error
    blocks = content.get("variable", {}) if isinstance(content, dict) else {}
    parts = blocks if isinstance(blocks, list) else [blocks]
    return {name for part in parts if isinstance(part, dict) for name in part}
