"""The collection of programs, each in each mode: `python -m tests.programs [NAME ...]`.

Prints a table of what each came to; 1 where that is not what it must be.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.programs.collection import COLLECTION
from tests.programs.play import MODES, Outcome, play
from tests.pulumi_command import install
from tests.restore.conftest import put_on_path
from tests.vault import vault

WIDTH = 90


@contextmanager
def ground() -> Iterator[tuple[Path, Path]]:
    """A working directory and a world of their own, and nothing of the user's."""
    found = shutil.which("pulumi")
    if found is None:
        raise SystemExit("There is no Pulumi CLI on PATH: `nox -s programs` brings one.")
    with (
        tempfile.TemporaryDirectory(prefix="alma-programs-") as scratch,
        vault() as url,
        pytest.MonkeyPatch.context() as patch,
    ):
        top = Path(scratch)
        for name in ("bin", "work", "world", "home"):
            (top / name).mkdir(mode=0o700)
        install(top / "bin", str(Path(found).absolute()), url)
        put_on_path(top / "bin", top / "world", patch)
        patch.setenv("PATH", str(top / "bin"), prepend=os.pathsep)
        patch.setenv("HOME", str(top / "home"))
        for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
            patch.delenv(name, raising=False)
        patch.setenv("PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION", "true")
        patch.chdir(top / "work")
        yield top / "work", top / "world"


def _played(name: str, mode: str) -> Outcome:
    (case,) = (case for case in COLLECTION if case.name == name)
    with ground() as (root, world):
        try:
            return asyncio.run(play(case, mode, root, world))
        except Exception as error:  # noqa: BLE001 - the others are played all the same
            return Outcome(type(error).__name__, str(error).split("\n", 1)[0])


def main() -> int:
    """Play them and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.programs", description=__doc__)
    parser.add_argument("name", nargs="*", help="part of the names to play (default: all)")
    options = parser.parse_args()
    began, wrong, count = time.monotonic(), 0, 0
    for case in COLLECTION:
        if options.name and not any(part in case.name for part in options.name):
            continue
        for mode in MODES:
            outcome = _played(case.name, mode)
            count += 1
            wrong += bool(outcome.wrong)
            verdict = f"  WRONG: {outcome.wrong}" if outcome.wrong else ""
            said = outcome.ended if outcome.wrong else outcome.ended[:WIDTH]
            sys.stdout.write(f"{case.name:<26} {mode:<7} {said}{verdict}\n")
            sys.stdout.flush()
    seconds = time.monotonic() - began
    sys.stdout.write(f"{count} outcomes, {wrong} not as they must be, {seconds:.0f} s\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
