"""Directories for a while: whoever is killed leaves one, and the next who looks removes it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from alma.system import scratch


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(scratch, "SHORT", str(tmp_path))
    yield tmp_path
    scratch.forget()


def elsewhere(place: Path) -> tuple[subprocess.Popen[str], Path]:
    """One that another process has made, and lives in."""
    source = "import sys; from alma.system import scratch; print(scratch.make('host', sys.argv[1]))"
    process = subprocess.Popen(
        [sys.executable, "-c", f"{source}; sys.stdout.flush(); sys.stdin.read()", str(place)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_has_is_not(
    place: Path,
) -> None:
    process, made = elsewhere(place)
    with process:
        (made / "state").mkdir()
        scratch.sweep()
        assert (made / "state").is_dir()
        process.kill()
    scratch.sweep()
    assert not made.exists()


def test_what_is_not_proven_to_be_ones_own_and_dead_stays(place: Path) -> None:
    """A directory of an older alma's, one of somebody's that is called so, a link to elsewhere."""
    kept = [place / "alma-host-old", place / "alma-notes", place / "other-x"]
    for path in kept:
        path.mkdir()
    (kept[2] / ".alma-held").touch()
    (place / "alma-link").symlink_to(kept[2])
    with scratch.scratch("state") as own:
        scratch.sweep()
        assert own.stat().st_mode & 0o777 == 0o700
        assert sorted(place.iterdir()) == sorted([*kept, place / "alma-link", own])
    assert not own.exists()


def test_without_locks_a_directory_is_made_all_the_same(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some network file systems have none; then nobody can prove anything of it, and it stays."""

    def refuse(path: Path) -> None:
        path.touch()
        raise OSError(38, os.strerror(38))

    with monkeypatch.context() as patched:
        patched.setattr(scratch, "try_lock", refuse)
        made = scratch.make("state")
    scratch.sweep()
    assert made.is_dir()
    scratch.forget(made)
    assert list(place.iterdir()) == []
