"""Processes of a service: their output in a log, their readiness waited for, their end certain."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

# Seconds for what is killed to be gone.
GRACE = 10
LAST_LINES = 15


class ServiceError(Exception):
    """A service does not start; the text is for whoever runs the tests."""


class Process:
    """A running program of a service."""

    def __init__(self, name: str, popen: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.popen = popen
        self.log = log

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Wait until `ready()`; an OSError of it means not yet.

        Raises ServiceError with the log's last lines when the process ends or time is over.
        """
        deadline = time.monotonic() + seconds
        while True:
            with suppress(OSError):
                if ready():
                    return
            if (code := self.popen.poll()) is not None:
                raise ServiceError(f"{self.name} ended with {code} at its start; {self.tail()}")
            if time.monotonic() > deadline:
                raise ServiceError(f"{self.name} is not ready after {seconds:g} s; {self.tail()}")
            time.sleep(0.05)

    def tail(self) -> str:
        """Return the log's last lines."""
        lines = self.log.read_text(errors="replace").splitlines()[-LAST_LINES:]
        return "its log ends with:\n" + "\n".join(lines) if lines else "its log is empty"


@contextmanager
def started(
    command: Sequence[str | Path],
    *,
    directory: Path,
    environment: Mapping[str, str],
    user: str | None = None,
) -> Iterator[Process]:
    """Run `command` in `directory` as long as the context; its process group ends with it.

    As another user, if one is given.
    """
    name = Path(command[0]).name
    log = directory / f"{name}.log"
    with log.open("wb") as stream:
        popen = subprocess.Popen(
            [*with_parent(), *command],
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=user,
        )
    try:
        yield Process(name, popen, log)
    finally:
        end(popen)


def with_parent() -> list[str]:
    """Start a command so that the kernel kills it with its parent: a killed keeper ends it too."""
    return ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []


def end(popen: subprocess.Popen[bytes]) -> None:
    """Kill a process that leads its group, its group and what it has started.

    At once: whatever a service would still save is thrown away with it.
    """
    below: list[psutil.Process] = []
    with suppress(psutil.NoSuchProcess):
        below = psutil.Process(popen.pid).children(recursive=True)
    with suppress(ProcessLookupError):
        os.killpg(popen.pid, signal.SIGKILL)
    popen.wait()
    # Those in a namespace of the first of them are killed by the kernel, with it.
    psutil.wait_procs(below, timeout=GRACE)
