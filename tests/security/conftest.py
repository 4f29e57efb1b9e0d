"""Who attacks: another user of this machine, and a directory that all can write to."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from alma.cli.program import program
from tests.steps.conftest import own_temporary, place

__all__ = ["own_temporary", "place"]

STRANGER = 61_234
"""The uid of somebody else; no account is needed for it."""


@pytest.fixture
def cli() -> Callable[..., Result]:
    """Call `alma-pulumi` in this process."""
    return lambda *words: CliRunner().invoke(program, words)


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory, in which everybody may write; pytest's own are for one user alone."""
    place = Path(tempfile.mkdtemp(prefix="alma-shared-", dir="/tmp"))
    place.chmod(0o1777)
    monkeypatch.chdir(place)
    yield place
    monkeypatch.chdir("/")
    shutil.rmtree(place)


@pytest.fixture
def stranger(shared: Path) -> Callable[[str], str]:
    """Run a shell's script as another user, in the shared directory; what it printed."""
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else: run the tests as root to see this one")

    def attack(script: str) -> str:
        done = subprocess.run(
            ["/bin/sh", "-c", script],
            cwd=shared,
            env={"PATH": "/usr/bin:/bin"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            user=STRANGER,
            group=STRANGER,
            extra_groups=[],
            text=True,
            check=False,
            timeout=300,
        )
        return done.stdout

    return attack
