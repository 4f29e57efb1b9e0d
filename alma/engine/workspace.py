"""The Automation API's workspace without the processes that an operation can do without.

Imports pulumi. The stock one spawns `stack select` before an operation and `config set` for each
value, with secrets in argv.
"""

from __future__ import annotations

from pathlib import Path

from pulumi.automation import LocalWorkspace
from pulumi.automation.errors import StackAlreadyExistsError

from alma.engine.command import LeanCommand
from alma.engine.frames import Task
from alma.engine.project import require_project, write_project, write_settings
from alma.engine.protocol import StackRef


class LeanWorkspace(LocalWorkspace):
    """Works in alma's directory for the stack, or for an `up` in the user's project directory."""

    def __init__(self, task: Task, command: LeanCommand) -> None:
        self.directory = Path(task.directory)
        self.ref = StackRef(project=task.project, stack=task.stack, work_dir=task.project_dir)
        write_project(self.directory, self.ref, task.cwd)
        runs_program = task.kind in ("up", "preview")
        if runs_program and task.project_dir:
            require_project(self.ref)
        super().__init__(
            work_dir=task.project_dir if runs_program and task.project_dir else task.directory,
            env_vars=task.environment,
            pulumi_command=command,
        )
        self.lean_command = command
        self.task = task

    def select_stack(self, stack_name: str) -> None:
        """Nothing: every operation names its stack, and no user's selection is changed."""

    def create_stack(self, stack_name: str) -> None:
        """`stack init`; a stack that is there already is as good."""
        args = ["stack", "init", "--no-select", "--stack", stack_name]
        try:
            self.lean_command.run(args, str(self.directory), self.env_vars)
        except StackAlreadyExistsError:
            return

    def remove_record(self, stack_name: str) -> None:
        """`stack rm` in alma's directory, whose settings file goes with it; never the user's."""
        args = ["stack", "rm", "--yes", "--stack", stack_name]
        self.lean_command.run(args, str(self.directory), self.env_vars)

    def write_config(self) -> Path:
        """Write the settings with the plain config; returns the file."""
        return write_settings(
            self.directory,
            self.ref,
            self.task.plain,
            defaults=self.task.defaults,
            fresh=self.task.create,
            alone=self.task.replay is not None,
        )

    def seal_config(self, stack_name: str, settings: Path) -> None:
        """Have the CLI encrypt the secret config that it must know; one process for each value."""
        for key, text in self.task.sealed.items():
            args = ["config", "set", "--secret", "--raw", "--stack", stack_name]
            args += ["--config-file", str(settings), "--", key]
            self.lean_command.run_with_input(args, str(self.directory), self.env_vars, text)
