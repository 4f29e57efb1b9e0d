"""`--localstack [URL]`: what it takes, and what it says when nothing is there."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.cli.tools import names

Write = Callable[..., Path]
Call = Callable[..., Result]

STACK = """
from alma import Saga

def program():
    pass

saga = Saga("shop")
saga.add_stack("bucket", program)
"""


@pytest.fixture
def nowhere() -> str:
    """A URL at which nothing listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{one.getsockname()[1]}"


@pytest.mark.parametrize("command", ["up", "preview", "destroy"])
def test_not_there_is_one_sentence_and_1_and_nothing_is_written(
    command: str, write: Write, cli: Call, nowhere: str, tmp_path: Path
) -> None:
    write(STACK)
    result = cli(command, "--localstack", nowhere)
    assert result.exit_code == 1
    error, hint = result.stderr.splitlines()
    assert error.startswith(f"error: LocalStack at {nowhere}, where AWS steps of saga")
    assert "cannot be reached: Connection refused" in error
    assert "localstack start" in hint
    assert names(tmp_path) == ["saga.py"]


def test_no_url_is_2_with_how_to_write_it(write: Write, cli: Call) -> None:
    write(STACK)
    result = cli("up", "--localstack=localhost:4566", "--json")
    assert result.exit_code == 2
    answer = json.loads(result.stdout)
    assert answer["error"] == "'localhost:4566' is no URL of a LocalStack."
    assert "http://localhost:4566" in answer["hint"]


@pytest.mark.parametrize(
    "words",
    [
        ["--localstack", "other.py"],
        ["other.py", "--localstack"],
        ["--localstack", "--json", "other.py"],
        ["--localstack=", "other.py"],
    ],
)
def test_without_a_url_it_is_the_environments_and_the_next_word_is_the_target(
    words: list[str], write: Write, cli: Call, nowhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(STACK, "other.py")
    monkeypatch.setenv("AWS_ENDPOINT_URL", nowhere)
    result = cli("up", *words)
    assert result.exit_code == 1
    assert f"LocalStack at {nowhere}," in result.stderr


def test_resume_takes_it_too(cli: Call, nowhere: str) -> None:
    result = cli("resume", "latest", "--localstack", nowhere)
    assert result.exit_code == 6, result.stderr
