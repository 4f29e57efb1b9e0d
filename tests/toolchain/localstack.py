"""LocalStack, AWS on this machine: a program `localstack-runtime` in a Python of its own.

Its dependencies contradict those of the tests, so it gets an environment of its own, resolved as
of the day of its release: what was published later was never tried with it.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from tests.toolchain import cache
from tests.toolchain.process import FailedError, UnavailableError, run, say

PROGRAM = "localstack-runtime"
VERSION = "4.9.2"
RESOLVED = "2025-10-20"
PYTHON = ">=3.11,<3.14"
UV_VERSION = "0.9.4"
TIMEOUT = 15 * 60
INSTALL = (
    "see that the Python package index can be reached and that there is a Python 3.11, 3.12 or 3.13"
)
# A Python that is started from another directory would otherwise take its modules from there.
SCRIPT = """\
#!/bin/sh
exec "$(dirname "$(readlink -f "$0")")/../env/bin/python" -P -m localstack.runtime.main "$@"
"""


def directories() -> list[Path]:
    """Return the directory that holds `localstack-runtime`."""
    if (path := shutil.which(PROGRAM)) is not None:
        return [Path(path).parent]
    return [_made("localstack", f"{VERSION}-{RESOLVED}", _install) / "bin"]


def _made(name: str, version: str, make: Callable[[Path, Path], None]) -> Path:
    key = cache.key(name, version)
    try:
        return cache.entry(key, make)
    except FailedError:
        raise UnavailableError(
            f"Installing {name} failed, its output is in {cache.log_of(key)}: {INSTALL}."
        ) from None


def _install(target: Path, log: Path) -> None:
    uv = shutil.which("uv") or str(_made("uv", UV_VERSION, _install_uv) / "bin" / "uv")
    say(f"installing LocalStack {VERSION}; log: {log}")
    # Relocatable: the cache renames what is whole.
    venv = [uv, "venv", "--relocatable", "--python", PYTHON, str(target / "env")]
    run(venv, log=log, timeout=TIMEOUT, cwd=target)
    install = [uv, "pip", "install", "--python", str(target / "env" / "bin" / "python")]
    what = ["--exclude-newer", RESOLVED, f"localstack-core[runtime]=={VERSION}"]
    run([*install, *what], log=log, timeout=TIMEOUT, cwd=target)
    (target / "bin").mkdir()
    (target / "bin" / PROGRAM).write_text(SCRIPT)
    (target / "bin" / PROGRAM).chmod(0o755)


def _install_uv(target: Path, log: Path) -> None:
    say(f"installing uv {UV_VERSION}; log: {log}")
    # Not an environment: `--target` alone leaves a program that can be moved.
    command = [sys.executable, "-m", "pip", "install", "--target", str(target)]
    run([*command, f"uv=={UV_VERSION}"], log=log, timeout=TIMEOUT, cwd=target)
