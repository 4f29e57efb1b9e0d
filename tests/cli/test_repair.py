"""`up --repair` from the command line: one document, with the exit code that it ends with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from alma.errors import RefusedError
from alma.runner import drift

Write = Callable[..., Path]
Call = Callable[..., Result]

SAGA = """
from alma import Saga

mend = ["sh", "-c", "echo 0 > answer"]
saga = Saga("files")
saga.add_command("file", do=mend, undo=["true"], check=["sh", "-c", "exit $(cat answer)"])
"""


@pytest.fixture
def answer(tmp_path: Path, write: Write, cli: Call) -> Path:
    """What the check of a step that is up ends with."""
    write(SAGA)
    assert cli("up").exit_code == 0
    return tmp_path / "answer"


def before_the_second_look(patched: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    looks, look = [], drift.drift

    def looked(*asked: Any, **settings: Any) -> Any:
        looks.append(asked)
        if len(looks) == 2:
            act()
        return look(*asked, **settings)

    patched.setattr(drift, "drift", looked)


@pytest.mark.parametrize(
    ("says", "ends"),
    [("0", 0), ("1", 0), ("7", 1)],
    ids=["nothing has drifted", "brought back", "not to be told"],
)
def test_its_one_document_has_the_code_that_it_ends_with(
    cli: Call, answer: Path, says: str, ends: int
) -> None:
    answer.write_text(says)
    told = cli("up", "--repair", "--json")
    assert told.exit_code == ends, told.output
    assert json.loads(told.stdout)["exit_code"] == ends


def test_also_where_something_is_still_not_as_it_is_to_be(
    cli: Call, answer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer.write_text("1")
    before_the_second_look(monkeypatch, lambda: answer.write_text("1"))
    told = cli("up", "--repair", "--json")
    document = json.loads(told.stdout)
    assert (told.exit_code, document["exit_code"], document["state"]) == (12, 12, "COMPLETED")
    assert "is still not as it is to be" in told.stderr


def test_what_cannot_be_looked_at_again_hides_no_run(
    cli: Call, answer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy() -> None:
        raise RefusedError("A run has begun meanwhile.")

    answer.write_text("1")
    before_the_second_look(monkeypatch, busy)
    told = cli("up", "--repair", "--json")
    document = json.loads(told.stdout)
    assert (told.exit_code, document["exit_code"], document["state"]) == (11, 11, "COMPLETED")
    assert "not looked at: A run has begun meanwhile." in told.stderr
