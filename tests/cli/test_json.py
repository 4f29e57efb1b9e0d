"""`--json`: one document on stdout, whatever else wants to print there."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.cli.tools import SAGA

Write = Callable[..., Path]
Call = Callable[..., Result]
Spawn = Callable[..., "subprocess.Popen[str]"]

LOUD = (
    SAGA
    + """
import subprocess, sys
print("printed while it is loaded")

def shout():
    print("printed by an action")
    subprocess.run(["echo", "printed by a process of an action"], check=True)
    sys.stdout.flush()

saga.add_step("loud", action=shout)
"""
)


@pytest.mark.parametrize("words", [("up", "--json"), ("--json", "up")])
def test_nothing_but_the_document_reaches_stdout(
    write: Write, spawn: Spawn, words: tuple[str, ...]
) -> None:
    write(LOUD)
    process = spawn(*words)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    document = json.loads(out)
    assert document["state"] == "COMPLETED"
    assert document["outputs"]["database"] == {"url": "http://db", "password": "[secret]"}
    for words_ in ("while it is loaded", "by an action", "by a process of an action"):
        assert f"printed {words_}" in err
        assert words_ not in out


def test_without_json_prints_reach_stdout(write: Write, spawn: Spawn) -> None:
    write(LOUD)
    out, _ = spawn("up").communicate(timeout=300)
    assert "printed by a process of an action" in out


@pytest.mark.parametrize(
    ("how", "code", "state"), [("action", 4, "COMPENSATED"), ("undo", 10, "FAILED")]
)
def test_a_failed_run_is_a_document_as_well(
    write: Write, cli: Call, monkeypatch: pytest.MonkeyPatch, how: str, code: int, state: str
) -> None:
    write()
    monkeypatch.setenv("BREAK", how)
    result = cli("up", "--json")
    document = json.loads(result.stdout)
    assert result.exit_code == document["exit_code"] == code
    assert document["state"] == state
    assert [step["name"] for step in document["steps"]] == ["database", "servers"]
    assert bool(document["leftovers"]) == (state == "FAILED")
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.splitlines()) == 2


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["up", "gone.py"], 2),
        (["status"], 6),
        (["frobnicate"], 2),
        (["runs", "--limit", "none"], 2),
        (["verify"], 6),
        (["graph", "gone.py"], 2),
    ],
)
def test_an_error_is_a_document_and_a_sentence(cli: Call, words: list[str], code: int) -> None:
    result = cli(*words, "--json")
    document = json.loads(result.stdout)
    assert result.exit_code == document["exit_code"] == code
    assert set(document) == {"error", "hint", "exit_code"}
    assert document["error"] in re.sub("^error: ", "", result.stderr)


def test_json_after_two_dashes_is_no_option(cli: Call) -> None:
    result = cli("up", "--", "--json")
    assert result.exit_code == 2
    assert result.stdout == ""


def test_json_reads_the_same_in_every_locale(
    write: Write, spawn: Spawn, environment: dict[str, str]
) -> None:
    write(SAGA.replace("http://db", "http://dätabase/☃"))
    process = spawn(
        "up",
        "--json",
        env={**environment, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    )
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert json.loads(out)["outputs"]["database"]["url"] == "http://dätabase/☃"


def test_text_is_printed_in_every_locale(
    write: Write, spawn: Spawn, environment: dict[str, str]
) -> None:
    write(SAGA.replace("http://db", "http://dätabase/☃"))
    process = spawn(
        "up", env={**environment, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    )
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert "http://d" in out
