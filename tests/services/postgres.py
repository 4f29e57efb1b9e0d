"""A Postgres server: data and socket in a directory of its own, gone with whoever started it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg

from tests.services.localstack import free_port
from tests.services.process import ServiceError, started
from tests.toolchain import postgres as toolchain

START = 60
STOP = 30
USER, PASSWORD = "pulumi", "pw"
# Nothing here has to outlive the machine, or gets old. And who vacuums locks a table for longer at
# times than some of what runs here waits for anybody.
OPTIONS = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "autovacuum": "off",
}


@dataclass(frozen=True)
class Postgres:
    """Where it is. The user is a superuser and has a password, which the server asks for."""

    port: str
    password: str = PASSWORD
    user: str = USER
    host: str = "127.0.0.1"

    @property
    def url(self) -> str:
        """Of its first database, as libpq takes it, and as Pulumi takes it for a backend."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """The same of another one."""
        who = f"{self.user}:{self.password}"
        return f"postgres://{who}@{self.host}:{self.port}/{database}?sslmode=disable"

    def execute(self, statement: str) -> None:
        """Run a statement outside of any transaction, in the first database."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement.encode())

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a database that is gone afterwards, whoever is still in it."""
        name = f"test_{uuid4().hex[:12]}"
        self.execute(f"CREATE DATABASE {name}")
        try:
            yield self.url_of(name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")


class Server:
    """One server with its data in a directory, for a test that ends and restarts it."""

    def __init__(self, directory: Path, settings: Mapping[str, str] = OPTIONS) -> None:
        """Make its data; Postgres runs as a user that is not root."""
        self._settings = settings
        (self._tools,) = toolchain.directories()
        self._directory = directory
        self._user = "nobody" if os.geteuid() == 0 else None
        self._running = ExitStack()
        self.address = Postgres(str(free_port()))
        if self._user is not None:
            for above in (directory, directory.parent):
                above.chmod(above.stat().st_mode | 0o011)
            self._tools = _within_reach(self._tools, directory)
        (directory / "own").mkdir(mode=0o700)
        (directory / "own" / "password").write_text(PASSWORD)
        if self._user is not None:
            for path in (directory / "own", directory / "own" / "password"):
                shutil.chown(path, self._user)
        self._make()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        directory = self._directory / "own"
        settings = {
            **self._settings,
            "listen_addresses": self.address.host,
            "port": self.address.port,
            "unix_socket_directories": directory,
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        program = self._tools / "postgres"
        command: list[str | Path] = [program, "-D", directory / "data", *options]
        with ExitStack() as stack:
            process = stack.enter_context(
                started(command, directory=self._directory, environment=_plain(), user=self._user)
            )

            def stop() -> None:
                # "Immediate": with a mere kill its shared memory would stay.
                process.popen.send_signal(signal.SIGQUIT)
                process.popen.wait(STOP)

            stack.callback(stop)
            process.wait_until(self._answers, START)
            self._running = stack.pop_all()

    def stop(self) -> None:
        """End it at once, as a machine that goes down; the second time does nothing."""
        self._running.close()

    def _answers(self) -> bool:
        try:
            with psycopg.connect(self.address.url, connect_timeout=5):
                return True
        except psycopg.OperationalError:
            return False

    def _make(self) -> None:
        directory = self._directory / "own"
        words: list[str | Path] = [
            "-D",
            directory / "data",
            "-U",
            USER,
            "--pwfile",
            directory / "password",
        ]
        form = ["-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        made = subprocess.run(
            [self._tools / "initdb", *words, *form],
            cwd=directory,
            user=self._user,
            env=_plain(),
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )
        if made.returncode:
            raise ServiceError(f"Postgres' data cannot be made: {made.stderr}{made.stdout}")


@contextmanager
def running(directory: Path) -> Iterator[Postgres]:
    """Run a server on a free port, with its data in `directory`."""
    server = Server(directory)
    server.start()
    try:
        yield server.address
    finally:
        server.stop()


def _plain() -> dict[str, str]:
    """The environment without what leads to another server."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def _within_reach(tools: Path, directory: Path) -> Path:
    """The programs, copied where those that were unpacked are in root's own home directory."""
    if all(path.stat().st_mode & 0o001 for path in (tools, *tools.parents)):
        return tools
    shutil.copytree(tools.parent, directory / "programs", symlinks=True)
    return directory / "programs" / tools.name
