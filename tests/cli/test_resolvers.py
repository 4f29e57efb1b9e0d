"""A rollback of a stack with a `resolver`, which is in the file of the saga alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Write = Callable[..., Path]
Call = Callable[..., Result]

pytestmark = [pytest.mark.lives, pytest.mark.usefixtures("pulumi_cli")]

CUT_OFF = """
import os
from pathlib import Path
from typing import Any
import psutil
from pulumi.dynamic import CreateResult, Resource, ResourceProvider
from alma import Saga

os.environ["RUNNER"] = str(os.getpid())
HERE = Path(__file__).parent

class Provider(ResourceProvider):
    def create(self, props):
        Path(props["path"]).touch()
        cli = next(one for one in psutil.Process().parents() if one.name() == "pulumi")
        os.kill(int(os.environ["RUNNER"]), 9)
        cli.kill()
        return CreateResult("never read", props)

    def delete(self, id, props):
        Path(id).unlink()

class Thing(Resource):
    def __init__(self, name):
        super().__init__(Provider(), name, {"path": str(HERE / "made")})

def find(pending):
    return str(HERE / "made")

saga = Saga("cut", stack="dev")
saga.add_stack("one", lambda: Thing("thing"), resolver=find)
"""


def test_a_rollback_asks_the_resolver_of_the_sagas_file(
    write: Write, spawn: Callable[..., Any], cli: Call, tmp_path: Path
) -> None:
    """No journal keeps it: the file that the run came from is loaded for it."""
    write(CUT_OFF)
    up = spawn("up")
    up.communicate(timeout=300)
    assert up.returncode == -9
    assert (tmp_path / "made").exists()
    result = cli("rollback", "latest")
    assert result.exit_code == 4, result.stderr
    assert not (tmp_path / "made").exists()


def test_a_rollback_without_the_file_says_how_the_resolver_is_asked(
    write: Write, spawn: Callable[..., Any], cli: Call, tmp_path: Path
) -> None:
    path = write(CUT_OFF)
    spawn("up").communicate(timeout=300)
    path.rename(tmp_path / "moved.py")
    result = cli("rollback", "latest")
    assert result.exit_code == 10
    assert "saga's file with --target" in result.stderr


def test_a_rollback_takes_the_resolver_of_another_file(
    write: Write, spawn: Callable[..., Any], cli: Call, tmp_path: Path
) -> None:
    path = write(CUT_OFF)
    spawn("up").communicate(timeout=300)
    path.rename(tmp_path / "moved.py")
    result = cli("rollback", "latest", "--target", "moved.py")
    assert result.exit_code == 4, result.stderr
    assert not (tmp_path / "made").exists()
