"""A `.alma` that somebody else has prepared is refused before anything in it is read."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from alma import Saga
from alma.errors import RefusedError
from alma.journal import open_journal
from alma.pulumi.engine import StackRef
from alma.pulumi.local import PulumiEngine
from alma.pulumi.project import directory_of, write_project
from tests.security.conftest import STRANGER

Cli = Callable[..., Result]

SAGA = """
from pathlib import Path
from alma import Saga
saga = Saga("s")
saga.add_step(Path("done").touch, "none", name="a")
saga.add_stack("b", lambda: None)
"""


@pytest.mark.parametrize("command", ["up", "destroy", "runs", "status latest", "rollback latest"])
def test_a_planted_directory_is_refused(
    command: str, shared: Path, stranger: Callable[[str], str], cli: Cli
) -> None:
    """Nothing in it is read, and nothing is written to it or run."""
    (shared / "saga.py").write_text(SAGA)
    stranger("umask 0; mkdir -p .alma/state .alma/snapshots; echo theirs > .alma/passphrase")
    result = cli(*command.split())
    assert result.exit_code == 11, result.output
    assert f".alma belongs to another user (uid {STRANGER}): refused." in result.output
    assert "hint: Go to a directory of your own" in result.output
    assert not (shared / "done").exists()
    assert {path.name for path in (shared / ".alma").iterdir()} == {
        "state",
        "snapshots",
        "passphrase",
    }


def test_doctor_names_it(shared: Path, stranger: Callable[[str], str], cli: Cli) -> None:
    stranger("mkdir -p .alma/state/.pulumi; touch .alma/journal.db")
    result = cli("doctor")
    assert result.exit_code == 1
    for name in ("backend", "journal"):
        assert f"fail  {name:10}  " in result.output
    assert result.output.count("belongs to another user") == 2
    assert shared.exists()


@pytest.mark.parametrize("part", ["state", "snapshots", "logs", "leases", "passphrase"])
def test_a_planted_part_is_refused(part: str, shared: Path, stranger: Callable[[str], str]) -> None:
    """Where others could once write to the directory, or still can."""
    (shared / ".alma").mkdir(mode=0o777)
    (shared / ".alma").chmod(0o777)
    stranger(f"echo theirs > .alma/{part}" if part == "passphrase" else f"mkdir .alma/{part}")
    (shared / ".alma").chmod(0o755)
    with pytest.raises(RefusedError, match=rf"{part} belongs to another user"):
        _touch_all(shared)


def test_what_others_can_write_is_refused(shared: Path) -> None:
    (shared / ".alma").mkdir()
    (shared / ".alma").chmod(0o775)
    with pytest.raises(RefusedError, match=r"\.alma can be written by others") as refused:
        _touch_all(shared)
    assert refused.value.hint.endswith(f"chmod -R go-w {shared}/.alma")


def test_so_is_what_others_can_write_deep_in_it(shared: Path) -> None:
    """A project's record in the state is as good as the whole."""
    deep = shared / ".alma/state/.pulumi/stacks/shop"
    deep.mkdir(parents=True)
    for path in (deep, *deep.parents[:4]):
        path.chmod(0o755)
    _touch_all(shared)
    deep.chmod(0o777)
    with pytest.raises(RefusedError, match=r"shop can be written by others"):
        _touch_all(shared)
    (shared / ".alma").chmod(0o700)  # nobody else gets there any more
    _touch_all(shared)


@pytest.mark.parametrize("part", ["", "state", "passphrase", "snapshots", "journal.db.key"])
def test_a_link_is_refused(part: str, shared: Path, tmp_path: Path) -> None:
    """A checkout may hold one, and then it is this user's own."""
    link = shared / ".alma" / part
    if part:
        (shared / ".alma").mkdir(mode=0o700)
    link.symlink_to(tmp_path)
    with pytest.raises(RefusedError, match=r"is a symbolic link: refused"):
        _touch_all(shared)


def test_who_is_faster_than_alma_is_seen(shared: Path, stranger: Callable[[str], str]) -> None:
    """It was looked for, was not there, and is planted before alma makes it."""
    engine = PulumiEngine(cwd=shared, environ={"HOME": str(shared)})
    stranger("mkdir -m 777 .alma")
    with pytest.raises(RefusedError, match="belongs to another user"):
        engine._backend.prepare()


def test_a_place_for_project_files_that_is_another_users_is_refused(
    shared: Path, stranger: Callable[[str], str]
) -> None:
    """Pulumi.yaml names plugins: who can put another one there is executed."""
    stranger("umask 0; mkdir -p alma/work")
    with pytest.raises(RefusedError, match="belongs to another user"):
        directory_of(StackRef(project="p", stack="s"), "file:///", {"XDG_STATE_HOME": str(shared)})
    stranger("umask 0; mkdir project")
    with pytest.raises(RefusedError, match="belongs to another user"):
        write_project(shared / "project", StackRef(project="p", stack="s"), str(shared))


def test_a_journal_elsewhere_is_asked_for_its_own_parts(
    shared: Path, stranger: Callable[[str], str]
) -> None:
    """Who names a directory knows it; what alma keeps in it is looked at all the same."""
    with open_journal(shared / "runs.db", write=True):
        pass
    stranger("mkdir snapshots")
    with pytest.raises(RefusedError, match="snapshots belongs to another user"):
        open_journal(shared / "runs.db", write=False)


def test_ones_own_is_used_and_never_committed(tmp_path: Path) -> None:
    """What alma makes itself it takes again; no repository takes passphrase, key or state."""
    saga = Saga("s")
    saga.add_step(lambda: None, "none", name="a")
    for _ in range(2):
        saga.run()
    assert (tmp_path / ".alma" / ".gitignore").read_text() == "*\n"
    _touch_all(tmp_path)


def _touch_all(place: Path) -> None:
    """What each command does first: the journal is opened, the backend chosen."""
    open_journal(place / ".alma" / "journal.db", write=False).close()
    PulumiEngine(cwd=place, environ={"HOME": tempfile.gettempdir(), "PATH": os.defpath})
