"""A step that is a command: its definition, and what does and undoes it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from alma.core.definition import StepDefinition
from alma.core.secret import secrets_in
from alma.core.validation import check_choice
from alma.errors import DefinitionError
from alma.steps.base import Check, DoctorOptions, Session
from alma.steps.command.argv import (
    Command,
    check_variables,
    exit_codes,
    find_program,
    plain_command,
    require_plain,
)
from alma.steps.command.form import FORM
from alma.steps.step import Step
from alma.steps.values import digest, inputs_of, journaled_values, lacking, plain

if TYPE_CHECKING:
    from alma.steps.command.calling import Place
    from alma.steps.command.handler import CommandHandler

InputsBy = Literal["environment", "stdin"]


@dataclass(frozen=True, kw_only=True)
class CommandStep(Step):
    """A command, what undoes it, and what shows whether it is there."""

    kind = "command"
    form = FORM
    do: Command
    undo: Command | None = None
    """A command, or "none": there is nothing to undo."""
    check: Command | None = None
    shell: bool = False
    work_dir: str | Path | None = None
    inputs_by: InputsBy = "environment"
    already: int | Iterable[int] = ()
    gone: int | Iterable[int] = ()
    secret_outputs: Iterable[str] = ()

    def validate(self) -> None:
        """Commands that can be given to a program, and show nobody a secret."""
        self._set("shell", bool(self.shell))
        for what in ("do", "undo", "check"):
            command, where = getattr(self, what), f"{self.where}: {what}"
            if command is None and what != "do":
                continue
            if what == "undo" and isinstance(command, str) and command == "none":
                continue
            found = plain_command(where, command, shell=self.shell)
            require_plain(where, found, secrets_in(dict(self.inputs)))
            self._set(what, found)
        check_choice(f"{self.where}: inputs_by", self.inputs_by, ("environment", "stdin"))
        if self.inputs_by == "environment":
            check_variables(self.where, self.inputs)
        for what in ("already", "gone"):
            self._set(what, exit_codes(f"{self.where}: {what}", getattr(self, what)))
        names = self.secret_outputs
        self._set("secret_outputs", (names,) if isinstance(names, str) else tuple(names))
        directory = Path(self.work_dir or "").absolute()
        if not directory.is_dir():
            raise DefinitionError(f"{self.where}: there is no directory {directory}.")
        self._set("work_dir", directory)

    def kind_fields(self) -> dict[str, Any]:
        """How it is undone: the commands themselves, and where their programs are."""
        if self.undo is None:
            return {"compensation": "none"}
        if self.undo == "none":
            return {"compensation": "nothing"}
        asked = {"undo": self.undo, **({"check": self.check} if self.check else {})}
        gone = exit_codes("gone", self.gone)
        programs = {
            command[0]: find_program(command, Path(str(self.work_dir)), os.environ)
            for command in asked.values()
            if isinstance(command, list)
        }
        settings: dict[str, Any] = {
            "work_dir": str(self.work_dir),
            "programs": {name: path for name, path in programs.items() if path},
            **({"gone": list(gone)} if gone else {}),
            **asked,
            **journaled_values(self.inputs),
        }
        if self.inputs_by != "environment":
            settings["inputs_by"] = self.inputs_by
        return {"compensation": "command", "settings": settings}

    def bind(self, session: Session) -> CommandHandler:  # noqa: ARG002 - one signature for all
        """It can do and undo."""
        from alma.steps.command.handler import CommandHandler

        # As `validate` has left them.
        do: Any = self.do
        undo: Any = self.undo
        check: Any = self.check
        already, gone = exit_codes("already", self.already), exit_codes("gone", self.gone)
        secret_outputs = tuple(self.secret_outputs)
        return CommandHandler(
            name=self.name,
            place=_place(self.where, self.work_dir, self.inputs_by),
            do=do,
            undone_by=undo,
            check=check,
            already=already,
            gone=gone,
            secret_outputs=secret_outputs,
            inputs=self.inputs,
            digest=digest(
                do,
                undo,
                check,
                str(self.work_dir),
                self.inputs_by,
                already,
                gone,
                secret_outputs,
                plain(self.inputs),
            ),
        )

    @classmethod
    def rebind(cls, definition: StepDefinition, session: Session | None) -> CommandHandler:  # noqa: ARG003
        """It can run what undoes, with the programs that the run has found."""
        from alma.steps.command.handler import CommandHandler

        settings = definition.settings
        where = f'Step "{definition.name}"'
        return CommandHandler(
            name=definition.name,
            place=_place(
                where,
                settings.get("work_dir", ""),
                settings.get("inputs_by", "environment"),
                settings.get("programs", {}),
            ),
            undone_by="none" if definition.compensation == "nothing" else settings.get("undo"),
            check=settings.get("check"),
            gone=tuple(settings.get("gone", ())),
            inputs=inputs_of(definition),
            lacks=lacking(definition),
        )

    @classmethod
    async def doctor(cls, asked: DoctorOptions) -> Sequence[Check]:
        """That what undoes the last runs is still there."""
        checks = []
        for run in asked.runs:
            for step in run.definition.steps:
                if step.kind != cls.kind:
                    continue
                for path in step.settings.get("programs", {}).values():
                    if not os.access(path, os.X_OK):
                        message = (
                            f'run {run.run} undoes step "{step.name}" with {path}, which is gone'
                        )
                        mend = "Put it back, or give the saga's file with --target to undo it"
                        checks.append(
                            Check(name="command", level="warn", message=message, mend=mend)
                        )
        return checks


def _place(where: str, work_dir: object, inputs_by: str, programs: Any = None) -> Place:
    from alma.steps.command.calling import Place

    return Place(
        where=where,
        work_dir=Path(str(work_dir or "/")),
        by_stdin=inputs_by == "stdin",
        programs=programs or {},
    )
