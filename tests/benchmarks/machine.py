"""Where and with what it was measured: without it, a number says nothing."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sqlite3
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from tests.benchmarks import terragrunt

MISSING = "not found"


def facts() -> dict[str, str]:
    """Versions, processors, memory and load; no name of this machine."""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "alma": _package("alma-pulumi"),
        "Pulumi CLI": _command("pulumi", "version"),
        "Pulumi SDK": _package("pulumi"),
        "DBOS": _package("dbos"),
        "Terragrunt": _terragrunt(),
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "processors": str(os.cpu_count()),
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
        "load": load(),
    }


def load() -> str:
    """The load average of the last minute."""
    return f"{os.getloadavg()[0]:.1f}"


def _package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _terragrunt() -> str:
    found, engine = _command("terragrunt", "--version"), terragrunt.engine()
    if found == MISSING or engine is None:
        return found
    return f"{found} over {engine} {_command(engine, 'version')}"


def _command(*words: str) -> str:
    if shutil.which(words[0]) is None:
        return MISSING
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    said = re.search(r"\d+\.\d+\.\d+[\w.+-]*", done.stdout)
    return said[0] if said else "unknown"
