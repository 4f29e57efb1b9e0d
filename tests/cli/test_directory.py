"""Commands from another directory than the run was started in: right, or refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from alma import DefinitionError, Saga
from alma.runner import destroy, rollback, run_sync

Call = Callable[..., Result]

RELATIVE = """
import os
from pathlib import Path
from alma import Saga

def make():
    Path("made").touch()

def unmake():
    Path("made").unlink(missing_ok=True)

def second():
    if os.environ.get("BREAK"):
        raise RuntimeError("no")

saga = Saga("s", on_failure="stop")
saga.add_step(make, unmake, name="one")
saga.add_step(second, "none", name="two")
"""


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the saga's file is; the current directory is beside it after `go`."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "a")
    Path("saga.py").write_text(RELATIVE)
    return tmp_path / "a"


@pytest.fixture
def go(there: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    return lambda: monkeypatch.chdir(there.parent / "b")


def test_a_rollback_calls_functions_where_the_run_was_started(
    there: Path, go: Callable[[], None], cli: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BREAK", "1")
    assert cli("up").exit_code == 10
    go()
    result = cli("rollback", "latest", "--journal", "../a/.alma/journal.db")
    assert result.exit_code == 4, result.stderr
    assert f"goes on in {there}, where it was started" in result.stderr
    assert not (there / "made").exists()
    assert Path.cwd().name == "b"


def test_a_resume_goes_on_there_with_a_target_that_is_named_from_here(
    there: Path, go: Callable[[], None], cli: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BREAK", "1")
    assert cli("up").exit_code == 10
    monkeypatch.delenv("BREAK")
    (there / "made").unlink()
    go()
    (there / "saga.py").rename("moved.py")
    result = cli(
        "resume", "latest", "--journal", "../a/.alma/journal.db", "--target", "moved.py:saga"
    )
    assert result.exit_code == 0, result.stderr
    assert not Path("made").exists()


def test_a_destroy_from_elsewhere_is_refused(
    there: Path, go: Callable[[], None], cli: Call
) -> None:
    assert cli("up").exit_code == 0
    go()
    here = cli("destroy", "../a/saga.py")
    assert here.exit_code == 11
    assert f"The runs of s/dev are in {there}/.alma/journal.db" in here.stderr
    told = cli("destroy", "../a/saga.py", "--journal", "../a/.alma/journal.db")
    assert told.exit_code == 2
    assert f"was started in {there}: its functions may mean files there" in told.stderr
    assert (there / "made").exists()


def test_an_up_from_elsewhere_makes_nothing_twice(go: Callable[[], None], cli: Call) -> None:
    assert cli("up").exit_code == 0
    go()
    assert cli("up", "../a/saga.py").exit_code == 11
    assert not Path("made").exists()
    assert json.loads(cli("runs", "--json").stdout) == []


STACK = """
import pulumi
from alma import Saga

def program():
    pulumi.Stash("note", input="hello")

saga = Saga("s")
saga.add_stack("one", program)
"""


@pytest.mark.usefixtures("pulumi_cli")
def test_stacks_are_looked_for_where_they_were_made(
    there: Path, go: Callable[[], None], cli: Call
) -> None:
    """Under their own passphrase. Nothing is here, so a destroy that looked here would be clean."""
    (there / "saga.py").write_text(STACK)
    assert cli("up").exit_code == 0
    go()
    for words in (("preview",), ("restore", "--to", "latest", "--yes"), ("destroy",)):
        refused = cli(words[0], "../a/saga.py", *words[1:])
        assert refused.exit_code == 11
        assert f"The runs of s/dev are in {there}/.alma/journal.db" in refused.stderr
    known = ("--journal", "../a/.alma/journal.db")
    again = cli("up", "../a/saga.py", *known)
    assert again.exit_code == 2
    assert f"its stack s-one is in {(there / '.alma' / 'state').as_uri()} since" in again.stderr
    gone = cli("destroy", "../a/saga.py", "--remove", *known)
    assert gone.exit_code == 0, gone.output
    assert not list(there.glob(".alma/state/.pulumi/stacks/*/*.json"))
    assert not Path(".alma").exists()


def test_a_run_whose_directory_is_gone_goes_on_here(
    there: Path, cli: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkout that was moved: there are no files there that could be meant."""
    monkeypatch.setenv("BREAK", "1")
    assert cli("up").exit_code == 10
    moved = there.rename(there.with_name("moved"))
    monkeypatch.chdir(moved)
    result = cli("rollback", "latest", "--target", "saga.py")
    assert result.exit_code == 4, result.stderr
    assert not (moved / "made").exists()


def test_in_python_it_is_refused(there: Path, go: Callable[[], None]) -> None:
    """A host's own directory is not changed under it."""

    def broken() -> None:
        raise RuntimeError("no")

    def saga() -> Saga:
        saga = Saga("p", on_failure="stop")
        saga.add_step("one", action=Path("made").touch, compensation=Path("made").unlink)
        saga.add_step("two", action=broken, compensation="none")
        return saga

    journal = there / "journal.db"
    with pytest.raises(Exception, match='failed at step "two"'):
        saga().run(journal=journal)
    go()
    for call in (
        lambda: rollback(saga=saga(), journal=journal),
        lambda: destroy(saga(), journal=journal),
    ):
        with pytest.raises(DefinitionError, match=f"was started in {there}"):
            run_sync(call)
    assert (there / "made").exists()
