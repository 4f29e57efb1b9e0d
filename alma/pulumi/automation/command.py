"""One Pulumi CLI process after the other, made to survive whoever started it. Imports no pulumi.

The CLI runs in a session of its own with its output in a file: it finishes what it is doing when
the worker dies, and nobody's Ctrl-C reaches it but the one that `interrupt` sends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

TAIL: Final = 256 * 1024
"""Bytes of a CLI's output that are looked at after its end: its last words say what failed."""


class InterruptedBeforeStartError(Exception):
    """The operation was interrupted before this CLI process was started, so it was not."""


class CommandError(Exception):
    """A CLI ended with another code than 0; its text is the log's last `TAIL` bytes."""


class Command:
    """Runs `pulumi` with its output in `log` (made 0600).

    `on_start` gets the pid as soon as the process exists. `interrupt` may be called from any
    thread: the CLI that runs gets one SIGINT, and no further one is started.
    """

    def __init__(self, path: str, log: Path, on_start: Callable[[int], None]) -> None:
        self.exit_code: int | None = None
        self.interrupted = False
        self._path = path
        self._log = log
        self._on_start = on_start
        self._lock = threading.Lock()
        self._running: subprocess.Popen[bytes] | None = None

    def run(
        self,
        arguments: Sequence[str],
        cwd: str,
        environment: Mapping[str, str],
        *,
        told: str | None = None,
        inherited: Sequence[int] = (),
    ) -> None:
        """Run it to its end; raises `CommandError` unless that was a good one.

        `told` goes to stdin, which no process list and no file shows; `inherited` are descriptors.
        """
        descriptor = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "ab") as log:
            start = os.fstat(log.fileno()).st_size
            argv = [self._path, "--non-interactive", *arguments]
            process = self._start(argv, cwd, environment, log, inherited)
        try:
            process.communicate(None if told is None else told.encode())
        finally:
            with self._lock:
                self._running = None
        self.exit_code = process.returncode
        if process.returncode != 0:
            raise CommandError(self._tail(start))

    def interrupt(self) -> None:
        """One SIGINT to the CLI, not to its group: at a second one it would not drain."""
        with self._lock:
            if not self.interrupted and self._running is not None:
                self._running.send_signal(signal.SIGINT)
            self.interrupted = True

    def _start(
        self,
        argv: list[str],
        cwd: str,
        environment: Mapping[str, str],
        log: IO[bytes],
        inherited: Sequence[int],
    ) -> subprocess.Popen[bytes]:
        with self._lock:
            if self.interrupted:
                raise InterruptedBeforeStartError
            self._running = process = subprocess.Popen(
                argv,
                cwd=cwd,
                # As the Automation API has it: the CLI prints no hints for people, and knows
                # `--event-log`.
                env={
                    "PULUMI_DEBUG_COMMANDS": "true",
                    **environment,
                    "PULUMI_AUTOMATION_API": "true",
                },
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=inherited,
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
