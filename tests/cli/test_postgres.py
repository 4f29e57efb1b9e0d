"""Every command over a journal on Postgres: what it prints has no credentials in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from alma.journal.encryption import KEY, new_key

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
