"""The programs of a Postgres server: those of the machine, else Debian's."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.toolchain import debian

PROGRAMS = ("initdb", "pg_ctl", "postgres")
DEBIAN = Path("/usr/lib/postgresql")
"""Where Debian installs each version's, of which it puts none on PATH."""
INSTALL = "install a Postgres server (Debian's postgresql)"


def directories() -> list[Path]:
    """Return the directory that holds `initdb`, `pg_ctl` and `postgres`."""
    on_path = filter(None, [shutil.which("initdb")])
    installed = sorted(DEBIAN.glob("*/bin/initdb"), key=_version, reverse=True)
    for found in (*map(Path, on_path), *installed):
        # The programs look for each other beside themselves: not where a link to one stands.
        folder = found.resolve().parent
        if all((folder / name).exists() for name in PROGRAMS):
            return [folder]
    return [debian.directory("initdb", "postgresql", install=INSTALL, beside=PROGRAMS[1:])]


def _version(program: Path) -> float:
    return float(program.parents[1].name)
