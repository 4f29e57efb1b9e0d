"""A Temporal server on this machine: its database in a directory of its own."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.services.localstack import free_port
from tests.services.process import started
from tests.toolchain import temporal as toolchain

START = 60
# What alma looks runs up by: a server of Temporal's own kind is told of it once.
ATTRIBUTES = ("AlmaSaga", "AlmaStack", "AlmaState")


@dataclass(frozen=True)
class Temporal:
    """Where it is; the namespace is `default`. `program` is its CLI."""

    address: str
    program: str

    def cli(self, *words: str) -> str:
        """What the CLI says; CalledProcessError where it fails."""
        done = subprocess.run(
            [self.program, *words, "--address", self.address],
            env=_plain(),
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return done.stdout


class Server:
    """One server with its database in a directory, for a test that ends and restarts it."""

    def __init__(self, directory: Path, *settings: str) -> None:
        """`settings` are values of Temporal's dynamic configuration, as NAME=VALUE."""
        self._settings = settings
        (tools,) = toolchain.directories()
        self._directory = directory
        self._running = ExitStack()
        self.address = Temporal(f"127.0.0.1:{free_port()}", str(tools / toolchain.PROGRAM))

    def start(self) -> None:
        """Start it, and wait until it answers."""
        host, _, port = self.address.address.partition(":")
        command: list[str | Path] = [self.address.program, "server", "start-dev", "--headless"]
        command += ["--ip", host, "--port", port, "--log-level", "error"]
        command += ["--db-filename", self._directory / "temporal.db"]
        for name in ATTRIBUTES:
            command += ["--search-attribute", f"{name}=Keyword"]
        for setting in self._settings:
            command += ["--dynamic-config-value", setting]
        with ExitStack() as stack:
            process = stack.enter_context(
                started(command, directory=self._directory, environment=_plain())
            )
            process.wait_until(self._answers, START)
            self._running = stack.pop_all()

    def stop(self) -> None:
        """Kill it; the second time does nothing."""
        self._running.close()

    def _answers(self) -> bool:
        host, _, port = self.address.address.partition(":")
        with socket.create_connection((host, int(port)), timeout=5):
            pass
        try:
            self.address.cli("operator", "namespace", "describe", "-n", "default")
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            return False
        return True


@contextmanager
def running(directory: Path) -> Iterator[Temporal]:
    """Run a server on a free port, with its database in `directory`."""
    server = Server(directory)
    server.start()
    try:
        yield server.address
    finally:
        server.stop()


def _plain() -> dict[str, str]:
    """The environment without what leads to another server."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")}
