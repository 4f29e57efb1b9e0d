"""The key that a journal is known by: where it is, and whose."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from alma.journal.seals import own_key_file
from tests.cli.tools import WAITING, wait_for
from tests.security.planting import SAGA, key, somebody_else

Cli = Callable[..., Result]


@pytest.fixture(autouse=True)
def saga(tmp_path: Path) -> None:
    (tmp_path / "saga.py").write_text(SAGA)


def test_it_is_made_once_for_its_user_alone(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "new"))
    assert cli("up", "saga.py").exit_code == 0
    made = tmp_path / "new" / "alma" / "journal.key"
    assert made.stat().st_mode & 0o777 == 0o600
    assert made.parent.stat().st_mode & 0o777 == 0o700
    before = made.read_bytes()
    assert cli("up", "saga.py", "--journal", "other.db").exit_code == 0
    assert made.read_bytes() == before
    assert before.strip() not in Path(".alma/journal.db").read_bytes()


def test_in_ci_it_comes_by_the_environment(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal from the cache, in a job that has nothing else; then a change of keys."""
    monkeypatch.setenv("ALMA_JOURNAL_KEY", key("one"))
    assert cli("up", "saga.py").exit_code == 0
    with somebody_else(tmp_path):
        assert cli("up", "saga.py").exit_code == 0
        assert not (tmp_path / "another-state").exists()
        monkeypatch.setenv("ALMA_JOURNAL_KEY", key("two"))
        assert cli("up", "saga.py").exit_code == 11
        monkeypatch.setenv("ALMA_JOURNAL_KEY", f"{key('two')} {key('one')}")
        assert cli("rekey").exit_code == 0
        monkeypatch.setenv("ALMA_JOURNAL_KEY", key("two"))
        assert cli("up", "saga.py").exit_code == 0


def test_one_that_is_chosen_later_knows_what_the_users_own_has_sealed(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("up", "saga.py").exit_code == 0
    monkeypatch.setenv("ALMA_JOURNAL_KEY", key("one"))
    assert cli("up", "saga.py").exit_code == 0


def test_a_key_that_comes_with_the_journal_proves_nothing(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that seals values, and one that a variable leads to, are the attacker's to plant."""
    monkeypatch.setenv("ALMA_JOURNAL_KEY_FILE", ".alma/key")
    (tmp_path / ".alma").mkdir(mode=0o700)
    (tmp_path / ".alma" / "key").write_text(key("planted"))
    with somebody_else(tmp_path):
        assert cli("up", "saga.py").exit_code == 0
    assert cli("up", "saga.py").exit_code == 11


@pytest.mark.parametrize("spoiled", ["readable", "writable directory", "a link", "no key"])
def test_one_that_others_have_a_part_in_is_refused(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, spoiled: str
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "new"))
    made = tmp_path / "new" / "alma" / "journal.key"
    assert cli("up", "saga.py").exit_code == 0
    if spoiled == "readable":
        made.chmod(0o640)
    elif spoiled == "writable directory":
        made.parent.chmod(0o777)
    elif spoiled == "a link":
        made.rename(tmp_path / "elsewhere")
        made.symlink_to(tmp_path / "elsewhere")
    else:
        made.write_text("nothing of the kind")
    result = cli("up", "saga.py")
    assert result.exit_code == 3, result.output
    assert str(made.parent) in result.stderr


def test_a_home_that_cannot_be_written_is_told(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file" / "below"))
    result = cli("up", "saga.py")
    assert result.exit_code == 11, result.output
    assert "cannot be made" in result.stderr
    assert "ALMA_JOURNAL_KEY" in result.stderr


@pytest.mark.parametrize("state", ["", "relative"])
def test_without_the_variable_it_is_below_home(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    expected = Path("/home/me/.local/state/alma/journal.key")
    assert own_key_file({"XDG_STATE_HOME": state}) == expected


def test_a_runner_that_was_killed_needs_no_trust(tmp_path: Path, cli: Cli) -> None:
    """Seals and events are one commit, so a crash leaves both or neither."""
    (tmp_path / "slow.py").write_text(WAITING)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "alma", "up", str(tmp_path / "slow.py")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment) as runner:
        wait_for(tmp_path / "at-work")
        runner.send_signal(signal.SIGKILL)
    (tmp_path / "go").touch()
    assert "yours: " in cli("verify").stdout
    assert cli("resume", "latest").exit_code == 0
