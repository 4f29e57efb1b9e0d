"""`--lock-timeout`: another runner is waited for, and what it has left is gone on from."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.cli.tools import WAITING, wait_for

Write = Callable[..., Path]
Call = Callable[..., Result]
Spawn = Callable[..., "subprocess.Popen[str]"]


def test_a_second_runner_is_refused_at_once_or_has_its_turn(
    write: Write, spawn: Spawn, cli: Call, tmp_path: Path
) -> None:
    write(WAITING)
    first = spawn("up")
    wait_for(tmp_path / "at-work")
    for words in (["up"], ["up", "--lock-timeout", "1s"], ["resume", "latest"]):
        refused = cli(*words)
        assert refused.exit_code == 11
        assert "Another runner holds slow/dev" in refused.stderr
    assert "`--lock-timeout 10m`" in refused.stderr
    # Both want it: whoever is second once more has the third turn.
    others = [spawn(what, "--yes", "--lock-timeout", "1h") for what in ("up", "destroy")]
    for other in others:
        assert other.stderr is not None
        assert "It is waited for." in other.stderr.readline()
    assert first.poll() is None
    (tmp_path / "go").touch()
    for process in (first, *others):
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
    assert [line.split()[2] for line in cli("runs").stdout.splitlines()[1:]].count("up") == 2


@pytest.mark.parametrize("said", ["soon", "-1s", "5"])
def test_what_is_no_time_is_one_sentence(write: Write, cli: Call, said: str) -> None:
    write(WAITING)
    refused = cli("up", "--lock-timeout", said)
    assert refused.exit_code == 2
    assert f"--lock-timeout cannot be '{said}'" in refused.stderr
