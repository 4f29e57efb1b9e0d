"""Temporal's worker versioning: a run stays with the workers of the version it was begun by."""

from __future__ import annotations

import subprocess

import pytest
from click.testing import CliRunner

from alma.cli.program import program
from tests.temporal.stage import Stage
from tests.waiting import until


def made_current(stage: Stage, build: str) -> None:
    """New runs are begun by this build; once the server knows all that its workers serve."""
    words = ("worker", "deployment", "set-current-version", "--deployment-name", stage.name)
    said: list[str] = []

    def done() -> bool:
        try:
            stage.temporal.cli(*words, "--build-id", build, "--yes")
        except subprocess.CalledProcessError as error:
            said[:] = [error.stderr]
            return False
        return True

    until(done, lambda: f"build {build} is the current one {said} {stage.said()}")


def test_a_run_is_not_moved_to_another_build(stage: Stage) -> None:
    other = stage.write(name="other.py")
    other.write_text(other.read_text().replace('note("do b")', 'note("do b otherwise")'))
    version = ("--deployment-name", stage.name, "--build-id")
    old = stage.worker(*version, "1")
    made_current(stage, "1")
    stage.hold("do a")
    up = stage.begin()
    stage.begun("do a")
    new = stage.worker(*version, "2", target="other.py")
    made_current(stage, "2")
    stage.let_go("do a")
    assert stage.ended(up) == 0, stage.said()
    assert stage.notes == ["do a", "do b", "do c"]
    assert {pid for what in stage.notes for pid in stage.doers(what)} == {old.pid}
    # No task of it was even offered to the other build, which would have said so.
    assert "of another code" not in stage.said()
    again = stage.call("up", "other.py", "--yes")
    assert again.returncode == 0, again.stderr + stage.said()
    assert stage.doers("do b otherwise") == [new.pid]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--deployment-name", "shop"], "'shop' goes with no --build-id"),
        (["--build-id", "7"], "'7' goes with no --deployment-name"),
        (["--deployment-name", "a.b", "--build-id", "7"], "has no dot: 'a.b'"),
    ],
)
def test_half_a_version_is_none(words: list[str], said: str) -> None:
    done = CliRunner().invoke(program, ["worker", "saga.py", *words])
    assert done.exit_code == 2
    assert said in done.stderr
