"""`approve` and `refuse`, and a run that waits: in a pipe, and at a terminal."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.cli.terminal import Terminal

Write = Callable[..., Path]
Start = Callable[..., Terminal]
Call = Callable[..., Result]

SAGA = """
from pathlib import Path
from alma import Saga

saga = Saga("shop", stack="dev")
saga.add_step("database", action=lambda: None, compensation=lambda: Path("undone").touch())
saga.add_approval("release", ["jane"], timeout=3600)
saga.add_step("live", action=lambda: Path("done").touch(), compensation="none")
"""
QUESTION = 'Approve "release"? (yes, no, later)'


@pytest.fixture(autouse=True)
def jane(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALMA_ACTOR", "jane")


def test_in_a_pipe_it_ends_with_8_and_says_who_may_approve_what(
    write: Write, cli: Call, tmp_path: Path
) -> None:
    write(SAGA)
    ran = cli("up")
    assert ran.exit_code == 8
    told = " ".join(ran.stderr.split())
    assert 'waits for approval of "release" (plan ' in told
    assert "live: call <lambda>" in told
    status = json.loads(cli("status", "--json").stdout)
    assert status["waiting"] == ["release"]
    assert (status["state"], status["interrupted"]) == ("RUNNING", True)
    approval = status["steps"][1]["approval"]
    assert approval["approvers"] == ["jane"]
    assert approval["digest"][:12] in told
    assert [one["step"] for one in approval["plan"]] == ["live"]
    assert approval["answer"] is None
    assert "waits for jane until" in cli("status").stdout
    wrong = cli("approve", "latest", "release", "--reason", "ok", "--digest", "f00")
    assert wrong.exit_code == 2
    # What it says has to be typed is what works, but for the reason.
    words = shlex.split(status["next"][0].replace("...", "fine"))[1:]
    assert cli(*words).exit_code == 0
    assert "approved by jane: fine" in cli("history", "latest").stdout
    assert cli("resume", "latest").exit_code == 0
    assert (tmp_path / "done").exists()


def test_refused_it_is_undone_by_resume(write: Write, cli: Call, tmp_path: Path) -> None:
    write(SAGA)
    assert cli("up").exit_code == 8
    said = cli("refuse", "latest", "release", "--reason", "no", "--json")
    assert json.loads(said.stdout)["steps"][1]["approval"]["answer"]["approved"] is False
    assert not (tmp_path / "undone").exists()
    assert cli("resume", "latest").exit_code == 4
    assert (tmp_path / "undone").exists()


def test_preview_and_graph_show_it(write: Write, cli: Call) -> None:
    write(SAGA)
    assert "release: wait for approval by jane, at most 3600 s" in cli("preview").stdout
    assert '{"release"}' in cli("graph").stdout
    assert "shape=diamond" in cli("graph", "--format", "dot").stdout
    nodes = json.loads(cli("graph", "--json").stdout)["nodes"]
    assert [node["approvers"] for node in nodes] == [[], ["jane"], []]


def test_at_a_terminal_it_is_asked_and_goes_on(
    write: Write, terminal: Start, tmp_path: Path
) -> None:
    write(SAGA)
    screen = terminal("up", "--yes", columns=120)
    screen.until(lambda text: text.count(QUESTION) == 1)
    screen.type("perhaps\n")
    screen.until(lambda text: text.count(QUESTION) == 2)
    assert not (tmp_path / "done").exists()
    screen.type("yes\n")
    screen.until(lambda text: "Why?" in text)
    screen.type("it is time\n")
    assert screen.end() == 0
    assert (tmp_path / "done").exists()


def test_at_a_terminal_later_is_later(write: Write, terminal: Start, tmp_path: Path) -> None:
    write(SAGA)
    screen = terminal("up", "--yes", columns=120)
    screen.until(lambda text: QUESTION in text)
    screen.type("later\n")
    assert screen.end() == 8
    assert not (tmp_path / "undone").exists()


def test_at_a_terminal_an_answer_from_elsewhere_is_seen(
    write: Write, terminal: Start, tmp_path: Path, environment: dict[str, str]
) -> None:
    """Of somebody who may, while here is nobody who may."""
    write(SAGA)
    screen = terminal("up", "--yes", columns=120, ALMA_ACTOR="joe")
    screen.until(lambda text: 'Waiting for jane to approve "release"' in text)
    command = [sys.executable, "-m", "alma", "approve", "latest", "release", "--reason", "by mail"]
    subprocess.run(command, env={**environment, "ALMA_ACTOR": "jane"}, check=True)
    assert screen.end() == 0
    assert (tmp_path / "done").exists()
