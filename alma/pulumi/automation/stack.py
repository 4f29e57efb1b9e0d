"""Where an operation's CLI processes run, and the files that they read. Imports no pulumi."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from alma.pulumi.automation import arguments
from alma.pulumi.automation.command import Command, CommandError
from alma.pulumi.engine import StackRef
from alma.pulumi.messages import Task
from alma.pulumi.project import require_project, write_project, write_settings

_THERE_ALREADY: Final = re.compile(r"stack.*already exists")
_NOT_THERE: Final = re.compile(r"no stack named.*found")
"""As `pulumi.automation.errors` tells these two from others."""


class Workspace:
    """alma's directory for the stack; for a program in a project of the user's, that directory."""

    def __init__(self, task: Task, command: Command) -> None:
        self._task = task
        self._command = command
        self._directory = Path(task.directory)
        self._ref = StackRef(project=task.project, stack=task.stack, work_dir=task.project_dir)
        write_project(self._directory, self._ref, task.cwd)
        self._in_users = bool(task.project_dir) and task.kind in ("up", "preview")
        if self._in_users:
            require_project(self._ref)

    def run(self, argv: Sequence[str], *, inherited: Sequence[int] = ()) -> None:
        """The operation itself, in the user's project directory where there is one."""
        cwd = self._task.project_dir if self._in_users else self._task.directory
        self._command.run(argv, cwd, self._task.environment, inherited=inherited)

    def create_record(self) -> None:
        """`stack init`; a record that is there already is as good."""
        self._run_here(arguments.init(self._task.stack), unless=_THERE_ALREADY)

    def remove_record(self) -> None:
        """`stack rm` in alma's directory, whose settings file goes with it; never the user's."""
        self._run_here(arguments.remove(self._task.stack), unless=_NOT_THERE)

    def write_config(self) -> Path:
        """Write the settings with the plain config; returns the file."""
        return write_settings(
            self._directory,
            self._ref,
            self._task.plain,
            defaults=self._task.defaults,
            fresh=self._task.create,
            alone=self._task.replay is not None,
        )

    def seal_config(self, settings: Path) -> None:
        """Have the CLI encrypt the secret config that it must know; one process for each value."""
        for key, text in self._task.sealed.items():
            self._run_here(arguments.set_secret(self._task.stack, key, str(settings)), told=text)

    def _run_here(
        self, argv: Sequence[str], *, told: str | None = None, unless: re.Pattern[str] | None = None
    ) -> None:
        try:
            self._command.run(argv, self._task.directory, self._task.environment, told=told)
        except CommandError as error:
            if unless is None or not unless.search(str(error)):
                raise
