"""Every command over a journal on Postgres: what it prints has no credentials in it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from alma.cli.program import COMMANDS
from alma.journal.encryption import KEY, new_key
from tests.cli.test_approval import SAGA as GATED
from tests.cli.test_completion import Ask, ask
from tests.cli.tools import SAGA as STUCK
from tests.cli.tools import WAITING, read_until, wait_for

__all__ = ["ask"]

Call = Callable[..., Result]
Write = Callable[..., Path]

SAGA = """
import os
from alma import Retry, Saga

saga = Saga("shop", stack="dev", on_failure=os.environ.get("POLICY", "compensate"))


def second():
    if os.environ.get("BREAK"):
        raise RuntimeError("no room")


saga.add_step("first", action=lambda: {"url": "here"}, compensation=lambda: None)
saga.add_step("second", action=second, compensation=lambda: None)
"""


@pytest.fixture
def call(
    cli: Call, write: Write, database: str, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """A command; the code that it ends with, and nothing shown that lets anybody in."""
    write(SAGA)
    monkeypatch.setenv("ALMA_JOURNAL", database)
    monkeypatch.setenv(KEY, new_key())

    def call(code: int, *words: str) -> Result:
        done = cli(*words)
        assert done.exit_code == code, done.output
        assert ":pw@" not in done.output
        assert not Path(".alma").exists()
        return done

    return call


def test_every_command_works_over_it(
    call: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, database: str
) -> None:
    monkeypatch.setenv("BREAK", "1")
    monkeypatch.setenv("POLICY", "stop")
    call(10, "up", "saga.py")
    assert "no room" in call(0, "status", "latest").output
    assert json.loads(call(0, "status", "--json", "latest").output)["run"]
    assert "OperationFailed" in call(0, "history", "latest").output
    call(4, "rollback", "latest")
    monkeypatch.delenv("POLICY")
    call(4, "up", "saga.py")
    monkeypatch.delenv("BREAK")
    call(0, "up", "saga.py")
    call(0, "up", "saga.py", "--changed")
    assert "3 runs" in call(0, "verify").output or "runs" in call(0, "verify").output
    assert "shop/dev" in call(0, "runs").output
    call(0, "logs", "latest")
    call(0, "prune")
    call(0, "rekey")
    assert "the chain is whole" in call(0, "doctor").output
    call(0, "graph", "saga.py")
    call(0, "destroy", "saga.py", "--yes")
    assert "postgres://127.0.0.1" in call(0, "journal", "init").output
    copied = json.loads(call(0, "journal", "copy", database, "copy.db", "--json").output)
    assert copied["runs"] == 5
    assert json.loads(call(0, "verify", "--journal", "copy.db", "--json").output)["ok"]
    call(0, "journal", "copy", "copy.db", database)


def test_an_undo_that_is_stuck_goes_past_a_step_or_is_given_up(
    call: Callable[..., Result], write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(STUCK)
    monkeypatch.setenv("BREAK", "undo")
    call(10, "up")
    call(0, "skip", "latest", "servers", "--reason", "it is known")
    assert "skipped" in call(0, "status", "latest").output
    call(10, "rollback", "latest")
    assert "servers" in call(0, "report", "latest").output
    call(10, "up")
    call(10, "abandon", "latest", "--reason", "it is old")
    assert "it is old" in call(0, "history", "latest").output


def test_what_waits_for_a_person_is_answered(
    call: Callable[..., Result],
    write: Write,
    ask: Ask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALMA_ACTOR", "jane")
    write(GATED)
    call(8, "up")
    (run,) = (row["run"] for row in json.loads(call(0, "runs", "--json").output))
    assert ask("approve", "") == ["latest", run]
    assert ask("approve", run, "re") == ["release"]
    call(0, "approve", "latest", "release", "--reason", "it is Monday")
    call(0, "resume", "latest")
    call(8, "up")
    call(0, "refuse", "latest", "release", "--reason", "it is Friday")
    call(4, "resume", "latest")
    assert "it is Friday" in call(0, "status", "latest").output
    assert "release" in call(0, "graph", "saga.py").output
    call(0, "params", "saga.py")


def test_a_run_at_work_keeps_others_out_and_can_be_asked_to_stop(
    call: Callable[..., Result],
    write: Write,
    spawn: Callable[..., subprocess.Popen[str]],
    environment: dict[str, str],
    tmp_path: Path,
) -> None:
    write(WAITING)
    up = spawn(
        "up", env=environment | {KEY: os.environ[KEY], "ALMA_JOURNAL": os.environ["ALMA_JOURNAL"]}
    )
    wait_for(tmp_path / "at-work")
    for words in (["up"], ["destroy", "--yes"], ["resume", "latest"], ["rollback", "latest"]):
        assert "Another runner holds slow/dev" in call(11, *words).output
    assert not json.loads(call(0, "status", "latest", "--json").output)["interrupted"]
    call(0, "cancel", "latest")
    read_until(up, "SIGTERM: no new step starts")
    (tmp_path / "go").touch()
    _, err = up.communicate(timeout=300)
    assert up.returncode == 4, err


KEYLESS = {
    0: ["runs", "status latest", "history latest", "logs latest", "report latest", "verify"],
    3: [
        *("up", "preview", "destroy --yes", "cancel latest", "resume latest", "rollback latest"),
        *("approve latest first --reason x", "refuse latest first --reason x", "prune", "rekey"),
        *("skip latest first --reason x", "abandon latest --reason x", "journal init"),
        "restore --step first --to latest --yes",
    ],
}
"""What can be done without the key that all hosts have: to look."""


def test_without_the_key_a_journal_is_looked_at_and_never_acted_on(
    call: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    call(0, "up")
    head = json.loads(call(0, "verify", "--json").output)["head"]
    monkeypatch.delenv(KEY)
    for code, commands in KEYLESS.items():
        for command in commands:
            assert command.split()[0] in COMMANDS
            said = call(code, *command.split())
            assert code == 0 or "Set ALMA_JOURNAL_KEY" in said.output, command
    assert "is shared, and there is no key" in call(1, "doctor").output
    assert json.loads(call(0, "verify", "--json").output)["head"] == head
