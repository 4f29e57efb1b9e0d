"""The question before something begins, on a terminal that is a pty, and nowhere else."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from alma.journal import open_journal
from tests.cli.terminal import Terminal
from tests.cli.test_stacks import STACKS
from tests.cli.tools import SAGA, WAITING, names, wait_for

Write = Callable[..., Path]
Start = Callable[..., Terminal]
Call = Callable[..., Result]
Spawn = Callable[..., "subprocess.Popen[str]"]

ASKED = "(yes, no, details) [no]: "


def count(text: str) -> int:
    return text.count(ASKED)


def test_up_shows_what_it_means_and_no_leaves_nothing(
    write: Write, terminal: Start, tmp_path: Path
) -> None:
    write(
        SAGA.replace('"servers", action=use, compensation=unuse', '"servers", action=use')
        + 'saga.add_step("live", action=use, compensation="none", pivot=True)\n'
    )
    screen = terminal("up", columns=120)
    screen.until(lambda text: count(text) == 1)
    lines = screen.lines()
    assert "shop/dev: up, 3 steps" in lines
    rows = [line.split(maxsplit=1) for line in lines]
    assert ["database", "call make  call unmake"] in rows
    assert ["servers", "call use   nothing: it has no compensation"] in rows
    assert "If a step fails, what has started by then is undone, the last of it first." in lines
    assert "That cannot undo: servers." in lines
    assert any("Once live has completed, nothing is undone any more" in line for line in lines)
    screen.type("what?\n")
    screen.until(lambda text: "Answer yes, no or details." in text and count(text) == 2)
    screen.type("details\n")
    screen.until(lambda text: count(text) == 3)
    assert "Preview of shop/dev: nothing is changed." in screen.text
    screen.type("n\n")
    assert screen.end() == 8
    assert "Nothing was begun." in screen.text
    assert names(tmp_path) == ["saga.py"]


def test_enter_and_the_end_of_input_are_no(write: Write, terminal: Start, tmp_path: Path) -> None:
    write()
    for typed in ("\n", "\x04"):
        screen = terminal("up")
        screen.until(lambda text: count(text) == 1)
        screen.type(typed)
        assert screen.end() == 8
    assert names(tmp_path) == ["saga.py"]


def test_yes_begins_it(write: Write, terminal: Start) -> None:
    write()
    screen = terminal("up")
    screen.until(lambda text: count(text) == 1)
    screen.type("y\n")
    assert screen.end() == 0
    assert "COMPLETED" in screen.text


@pytest.mark.parametrize("piped", ["stdin", "stdout", "stderr"])
def test_without_a_whole_terminal_nobody_is_asked(
    write: Write, environment: dict[str, str], piped: str
) -> None:
    """Each of the three streams is enough."""
    write()
    ours, theirs = pty.openpty()
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    streams[piped] = subprocess.DEVNULL
    command = [sys.executable, "-m", "alma", "up"]
    process = subprocess.Popen(command, env={**environment, "TERM": "dumb"}, **streams)
    os.close(theirs)
    os.write(ours, b"\n")  # whoever asked all the same is told no
    said = b""
    try:
        while data := os.read(ours, 65536):
            said += data
    except OSError:  # the other side is closed
        pass
    os.close(ours)
    assert process.wait(60) == 0
    assert b"yes, no, details" not in said


def test_json_is_not_asked(write: Write, terminal: Start) -> None:
    write()
    screen = terminal("up", "--json")
    assert screen.end() == 0
    assert count(screen.text) == 0


def test_a_destroy_asks_and_no_is_8(write: Write, terminal: Start, tmp_path: Path) -> None:
    write()
    screen = terminal("destroy", columns=120)
    screen.until(lambda text: count(text) == 1)
    rows = [line.split() for line in screen.lines()]
    assert rows.index(["servers", "not", "known", "call", "unuse"]) < rows.index(
        ["database", "not", "known", "call", "unmake"]
    )
    screen.type("no\n")
    assert screen.end() == 8
    assert not (tmp_path / ".alma").exists()


def test_a_destroy_goes_on_when_it_is_told_yes(write: Write, terminal: Start) -> None:
    write()
    screen = terminal("destroy")
    screen.until(lambda text: count(text) == 1)
    screen.type("yes\n")
    assert screen.end() == 0
    assert "destroyed" in screen.text
    assert terminal("destroy", "-y").end() == 0


def test_a_rollback_shows_what_it_undoes_and_up_what_was_interrupted(
    write: Write, spawn: Spawn, terminal: Start, tmp_path: Path
) -> None:
    write(WAITING)
    process = spawn("up")
    wait_for(tmp_path / "at-work")
    process.kill()
    process.wait()
    screen = terminal("up", columns=120)
    screen.until(lambda text: count(text) == 1)
    assert "was interrupted (RUNNING): it is gone on with, and no new run begins." in screen.text
    screen.type("n\n")
    assert screen.end() == 8
    back = terminal("rollback", "latest", columns=120)
    back.until(lambda text: count(text) == 1)
    assert ["slow", "RUNNING", "its", "compensation"] in [line.split() for line in back.lines()]
    assert not any(line.startswith("last ") for line in back.lines())
    back.type("n\n")
    assert back.end() == 8
    assert not (tmp_path / "undone").exists()
    with open_journal(tmp_path / ".alma" / "journal.db", write=False) as journal:
        assert len(journal.runs()) == 1
    assert terminal("rollback", "latest", "--yes").end() == 4
    assert (tmp_path / "undone").exists()


def test_preview_comes_first_when_it_is_asked_for(write: Write, cli: Call) -> None:
    write()
    result = cli("up", "--preview")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.index("Preview of shop/dev") < result.stdout.index("COMPLETED")
    as_json = cli("up", "--preview", "--json")
    assert as_json.exit_code == 0
    assert as_json.stdout.startswith("{")
    assert "Preview of shop/dev" in as_json.stderr


@pytest.mark.lives
@pytest.mark.usefixtures("pulumi_cli")
def test_what_is_new_and_what_is_there_is_told_of_stacks(write: Write, terminal: Start) -> None:
    write(STACKS)
    new = terminal("up", columns=160)
    new.until(lambda text: count(text) == 1, 90)
    assert "shop/dev: up, 2 steps, state in .alma/state" in new.lines()
    assert ["database", "a", "new", "stack", "destroy"] in [line.split() for line in new.lines()]
    new.type("yes\n")
    assert new.end(120) == 0, new.text
    there = terminal("up", columns=160)
    there.until(lambda text: count(text) == 1, 90)
    words = "update a stack of 2 resources  restore: put back to the 2 resources that it holds now"
    assert f"database  {words}" in there.lines()
    there.type("no\n")
    assert there.end(90) == 8
    gone = terminal("destroy", columns=160)
    gone.until(lambda text: count(text) == 1, 90)
    assert "servers   2 resources  destroy" in gone.lines()
    gone.type("d\n")
    gone.until(lambda text: count(text) == 2, 90)
    assert "database (stack shop-database/dev): 2 resources" in gone.lines()
    assert "  pulumi-python:dynamic:Resource tables" in gone.lines()
    gone.type("no\n")
    assert gone.end(90) == 8


@pytest.mark.usefixtures("pulumi_cli")
def test_a_preview_that_fails_begins_nothing(write: Write, cli: Call, tmp_path: Path) -> None:
    write(
        "from alma import Saga\ndef p(): raise ValueError('no such zone')\n"
        "saga = Saga('shop')\nsaga.add_stack('dns', p)\n"
    )
    result = cli("up", "--preview")
    assert result.exit_code == 1
    assert "no such zone" in result.stderr
    assert not (tmp_path / ".alma" / "journal.db").exists()
