"""The Automation API's CLI runner, made to survive its caller. Imports pulumi.

The stock one gives the CLI pipes: when Python dies the CLI gets SIGPIPE in the middle of a
create, and leaves a lock and an unrecorded resource. With files, and a session of its own, it
finishes what it does, records it, unlocks and ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Final

from pulumi.automation import CommandResult, OnOutput, PulumiCommand
from pulumi.automation.errors import create_command_error
from semver import VersionInfo

TAIL: Final = 256 * 1024
"""Bytes of a CLI's output that are looked at after its end: its last words say what failed."""


class InterruptedBeforeStartError(Exception):
    """The operation was interrupted before this CLI process was started, so it was not."""


class LeanCommand(PulumiCommand):
    """Runs `pulumi` with its output in `log` (made 0600), and asks for no version.

    `on_start` gets the pid as soon as the process exists. `interrupt` may be called from any
    thread: the CLI that runs gets one SIGINT, and no further one is started.
    """

    def __init__(self, path: str, version: str, log: Path, on_start: Callable[[int], None]) -> None:
        # Not super().__init__(): it would spawn `pulumi version`.
        self.command = path
        self.version = VersionInfo.parse(version)
        self.exit_code: int | None = None
        self._log = log
        self._on_start = on_start
        self._lock = threading.Lock()
        self._running: subprocess.Popen[bytes] | None = None
        self.interrupted = False

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: OnOutput | None = None,  # noqa: ARG002 - the output is in the log
        on_error: OnOutput | None = None,  # noqa: ARG002
    ) -> CommandResult:
        """`PulumiCommand.run`: both streams of the result hold the log's last `TAIL` bytes."""
        return self.run_with_input(args, cwd, additional_env, None)

    def run_with_input(
        self, args: list[str], cwd: str, environment: Mapping[str, str], text: str | None
    ) -> CommandResult:
        """Run with `text` on stdin, which no process list and no file shows."""
        descriptor = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "ab") as log:
            start = os.fstat(log.fileno()).st_size
            process = self._start([self.command, "--non-interactive", *args], cwd, environment, log)
        try:
            process.communicate(None if text is None else text.encode())
        finally:
            with self._lock:
                self._running = None
        self.exit_code = process.returncode
        tail = self._tail(start)
        result = CommandResult(stdout=tail, stderr=tail, code=process.returncode)
        if process.returncode != 0:
            raise create_command_error(result)
        return result

    def interrupt(self) -> None:
        """One SIGINT to the CLI, not to its group: at a second one it would not drain."""
        with self._lock:
            if not self.interrupted and self._running is not None:
                self._running.send_signal(signal.SIGINT)
            self.interrupted = True

    def _start(
        self, argv: list[str], cwd: str, environment: Mapping[str, str], log: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        with self._lock:
            if self.interrupted:
                raise InterruptedBeforeStartError
            self._running = process = subprocess.Popen(
                argv,
                cwd=cwd,
                # What PulumiCommand.run sets: the CLI then prints no hints for people.
                env={**environment, "PULUMI_AUTOMATION_API": "true"},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=0o077,  # The file backend would write the state for all to read.
            )
        self._on_start(process.pid)
        return process

    def _tail(self, start: int) -> str:
        with self._log.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(start, end - TAIL))
            return log.read().decode("utf-8", "replace")
