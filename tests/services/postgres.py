"""Postgres: a database of a test's own, where the machine has its server's programs."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.services.localstack import free_port

DEBIAN = Path("/usr/lib/postgresql")
OPTIONS = "-c listen_addresses=127.0.0.1 -c fsync=off"


def programs() -> Path | None:
    """The directory of its programs; None where they are not installed."""
    on_path = filter(None, [shutil.which("initdb")])
    found = [*map(Path, on_path), *sorted(DEBIAN.glob("*/bin/initdb"), reverse=True)]
    folders = (path.resolve().parent for path in found)
    return next((folder for folder in folders if (folder / "pg_ctl").exists()), None)


@contextmanager
def running(tools: Path) -> Iterator[str]:
    """Its URL, as Pulumi takes it for a backend."""
    user = "nobody" if os.getuid() == 0 else None  # it does not run as root
    # Not under pytest's directory, which nobody else may enter.
    with tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as directory:
        if user is not None:
            shutil.chown(directory, user)

        def call(name: str, *arguments: str) -> None:
            subprocess.run(
                [tools / name, *arguments],
                cwd=directory,
                user=user,
                check=True,
                stdout=subprocess.DEVNULL,
                timeout=300,
            )

        port = free_port()
        call("initdb", "-D", "data", "-A", "trust", "-U", "pulumi")
        settings = f"-p {port} -k {directory} {OPTIONS}"
        call("pg_ctl", "-D", "data", "-o", settings, "-l", "log", "-w", "start")
        try:
            yield f"postgres://pulumi:pw@127.0.0.1:{port}/postgres?sslmode=disable"
        finally:
            call("pg_ctl", "-D", "data", "-m", "immediate", "stop")
