"""Asking for a service: the first to ask starts it, the others take what the first started."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.services.process import ServiceError

ROOT = Path(__file__).parents[2]
# Seconds. A service has its own deadline for its start; this one bounds a first installation.
START = 30 * 60
STOP = 60


@dataclass(frozen=True)
class Run:
    """A run of the tests, whose processes share their services."""

    directory: str
    """Not there before the first service."""
    holder: int
    """The process whose end is the services' end: pytest itself, no worker of it."""

    @classmethod
    def of_this_process(cls) -> Run:
        """Begin a run."""
        # Short: the path of a Unix socket has 107 bytes at most.
        name = f"alma-services-{secrets.token_hex(4)}"
        return cls(str(Path(tempfile.gettempdir(), name)), os.getpid())


def service(run: Run, name: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the facts of the service, started if this is the first to ask.

    Raises ServiceError when it does not start, with its own words.
    """
    directory = Path(run.directory, name)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / "pid").exists():
            with (directory / "keeper.log").open("wb") as log:
                command = [sys.executable, "-m", "tests.services.keeper", name, str(directory)]
                subprocess.run(
                    [*command, str(run.holder)],
                    cwd=ROOT,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    check=True,
                )
    return facts(directory, name)


def facts(directory: Path, name: str) -> dict[str, str]:
    """Wait for what the keeper says of its service."""
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        if (directory / "failed").exists():
            raise ServiceError((directory / "failed").read_text())
        if (directory / "ready.json").exists():
            found: dict[str, str] = json.loads((directory / "ready.json").read_text())
            return found
        time.sleep(0.02)
    raise ServiceError(f"{name} is not there after {START} s; see {directory}")


def end(run: Run) -> None:
    """End the services of the run, and wait until they are gone."""
    keepers: dict[int, int] = {}
    for file in Path(run.directory).glob("*/pid"):
        pid = int(file.read_text())
        with suppress(ProcessLookupError):
            keepers[os.pidfd_open(pid)] = pid
            os.kill(pid, signal.SIGTERM)
    for ended, pid in keepers.items():
        if not select.select([ended], [], [], STOP)[0]:
            # What it holds is then killed by the kernel.
            os.kill(pid, signal.SIGKILL)
        os.close(ended)
    shutil.rmtree(run.directory, ignore_errors=True)
