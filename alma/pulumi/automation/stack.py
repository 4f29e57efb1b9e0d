"""The Automation API's command, workspace and stack, made to be one CLI process an operation.

The stock `Stack.up` is four processes over pipes: it selects the stack, asks afterwards for
outputs, with secrets in plaintext, and for the history, and takes the CLI along when it dies.
Here every operation names its stack, and the runner reads the outputs from the state.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

from pulumi import automation
from pulumi.automation.errors import create_command_error
from semver import VersionInfo

from alma.pulumi import cli
from alma.pulumi.engine import StackRef
from alma.pulumi.messages import Task
from alma.pulumi.project import (
    require_project,
    secrets_provider_of,
    write_project,
    write_settings,
)
from alma.system.files import open_log, open_own
from alma.system.starting import Starting

_TAIL: Final = 256 * 1024
"""Bytes of a CLI's output that are looked at after its end: its last words say what failed."""


class InterruptedBeforeStartError(Exception):
    """The operation was interrupted before this CLI process was started, so it was not."""


class Command(automation.PulumiCommand):
    """Runs `pulumi` with its output in `log` (made 0600), in a session of its own.

    So it finishes what it is doing when the worker dies, and nobody's Ctrl-C reaches it but the
    one that `interrupt` sends, from any thread: the CLI that runs gets one SIGINT, and no further
    one is started. `on_start` gets the pid of each before it begins, which it does not before that
    has returned.
    """

    def __init__(self, task: Task, on_start: Callable[[int], None]) -> None:
        # Not the base class's, which asks `pulumi version` each time.
        self.command = task.cli
        self.version = VersionInfo(*cli.parse(task.cli_version))
        self.log = Path(task.log_dir) / "pulumi.log"
        self.exit_code: int | None = None
        self.interrupted = False
        self.said = ""
        self._on_start = on_start
        self._lock = threading.Lock()
        self._running: subprocess.Popen[bytes] | None = None

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: Callable[[str], Any] | None = None,  # noqa: ARG002 - it goes to the log
        on_error: Callable[[str], Any] | None = None,  # noqa: ARG002
    ) -> automation.CommandResult:
        """Run it to its end; raises `CommandError` unless that was a good one."""
        return self.tell(args, cwd, additional_env, None)

    def tell(
        self, args: list[str], cwd: str, additional_env: Mapping[str, str], text: str | None
    ) -> automation.CommandResult:
        """The same with a text for its stdin, which no process list and no file shows."""
        with open_log(self.log) as log:
            start = os.fstat(log.fileno()).st_size
            process = self._start(args, cwd, additional_env, log)
        try:
            process.communicate(None if text is None else text.encode())
        finally:
            with self._lock:
                self._running = None
        self.exit_code = process.returncode
        if process.returncode == 0:
            return automation.CommandResult(stdout="", stderr="", code=0)
        self.said = self._tail(start)
        raise create_command_error(automation.CommandResult("", self.said, process.returncode))

    def pid(self) -> int:
        """Of the CLI that runs; 0 when none does."""
        with self._lock:
            return self._running.pid if self._running is not None else 0

    def interrupt(self) -> None:
        """One SIGINT to the CLI, not to its group: at a second one it would not drain."""
        with self._lock:
            if not self.interrupted and self._running is not None:
                self._running.send_signal(signal.SIGINT)
            self.interrupted = True

    def _start(
        self, args: list[str], cwd: str, additional_env: Mapping[str, str], log: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        with self._lock:
            if self.interrupted:
                raise InterruptedBeforeStartError
        starting = Starting(
            [self.command, "--non-interactive", *args],
            {**os.environ, **additional_env, "PULUMI_AUTOMATION_API": "true"},
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=0o077,  # The file backend would write the state for all to read.
        )
        begun = False
        try:
            self._on_start(starting.pid)
            with self._lock:
                if self.interrupted:
                    raise InterruptedBeforeStartError
                begun = True
                self._running = process = starting.begin()
        finally:
            if not begun:
                starting.forget()
        return process

    def _tail(self, start: int) -> str:
        with open_own(self.log) as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(start, end - _TAIL))
            return log.read().decode("utf-8", "replace")


class Workspace(automation.LocalWorkspace):
    """alma's directory for the stack; for a program in a project of the user's, that directory.

    `address` is where the program is served, or empty: the CLI runs it, or none is run.
    """

    pulumi_command: Command

    def __init__(self, task: Task, command: Command, address: str) -> None:
        self._task = task
        self._address = address
        self._directory = Path(task.directory)
        self._ref = StackRef(
            project=task.project,
            stack=task.stack,
            organization=task.organization,
            work_dir=task.project_dir,
            options=task.options,
        )
        write_project(self._directory, self._ref, task.cwd)
        in_users = bool(task.project_dir) and task.run_program
        if in_users:
            require_project(self._ref)
        super().__init__(
            work_dir=task.project_dir if in_users else task.directory,
            env_vars=task.environment,
            secrets_provider=secrets_provider_of(self._ref) or None,
            pulumi_command=command,
        )

    @property
    def qualified(self) -> str:
        """The stack, as the CLI is given it."""
        return self._ref.qualified

    def serialize_args_for_op(self, stack_name: str) -> list[str]:  # noqa: ARG002
        """What an operation is told besides: the place of the program, what a destroy leaves.

        `--exec-kind` is for whoever keeps the stack's history: `sdk/go/auto/stack.go`.
        """
        left = [f"--exclude={urn}" for urn in self._task.exclude]
        if not self._address:
            return left
        return [f"--client={self._address}", "--exec-kind", "auto.inline", *left]

    def create_stack(self, stack_name: str) -> None:
        """`stack init`; a record that is there already is as good. No selection is changed."""
        args = ["stack", "init", "--no-select", "--stack", stack_name]
        if self.secrets_provider:
            args += ["--secrets-provider", self.secrets_provider]
        try:
            self._run_here(args)
        except automation.StackAlreadyExistsError:
            return

    def select_stack(self, stack_name: str) -> None:
        """Nothing: every operation names its stack, and the user's selection is the user's."""

    def remove_stack(
        self,
        stack_name: str,
        force: bool | None = None,  # noqa: ARG002, FBT001 - an empty record needs neither
        preserve_config: bool | None = None,  # noqa: ARG002, FBT001
    ) -> None:
        """`stack rm` in alma's directory, whose settings file goes with it; never the user's."""
        try:
            self._run_here(["stack", "rm", "--yes", "--stack", stack_name])
        except automation.StackNotFoundError:
            return

    def stack_outputs(self, stack_name: str) -> automation.OutputMap:  # noqa: ARG002
        """None: the runner reads them from the state, where secrets are still encrypted."""
        return {}

    def set_config(
        self,
        stack_name: str,
        key: str,
        value: automation.ConfigValue,
        *,
        path: bool = False,
    ) -> None:
        """Have the CLI encrypt a secret that it must know; the base class shows it in argv."""
        front = ["config", "set", "--secret", "--raw", "--stack", stack_name]
        front += ["--path"] if path else []
        self._run_here([*front, "--config-file", str(self._settings), "--", key], value.value)

    def write_config(self) -> Path:
        """Write the settings with the plain config; returns the file."""
        self._settings = write_settings(
            self._directory,
            self._ref,
            self._task.plain,
            defaults=self._task.defaults,
            fresh=self._task.create,
            alone=self._task.replay is not None,
        )
        return self._settings

    def _run_here(self, args: list[str], text: str | None = None) -> None:
        self.pulumi_command.tell(args, self._task.directory, self.env_vars, text)


class Stack(automation.Stack):
    """A stack that is neither selected before an operation nor looked up in the history after."""

    def __init__(self, name: str, workspace: Workspace) -> None:
        # Not the base class's: it wants a mode, which is not public, and runs a process for it.
        self.name = name
        self.workspace = workspace

    def __repr__(self) -> str:
        return f"Stack(stack_name={self.name!r})"

    def info(self, show_secrets: bool = True) -> automation.UpdateSummary:  # noqa: ARG002, FBT001, FBT002
        """Nothing is known but that it has ended: the events say what it did."""
        now = datetime.now(tz=UTC)
        return automation.UpdateSummary("", now, "", {}, {}, result="succeeded", end_time=now)
