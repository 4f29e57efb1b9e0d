"""Datasette over a journal, with the metadata of docs/journal.md: others look at it too."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml

from alma import Saga, SagaFailed
from alma.journal import open_journal
from tests.pages import ROOT, block

METADATA = block((ROOT / "docs" / "journal.md").read_text(), "file: datasette.yaml")
QUERIES = yaml.safe_load(METADATA)["databases"]["journal"]["queries"]
JOURNAL = Path(".alma", "journal.db")


def ask(query: str, **parameters: str) -> list[dict[str, Any]]:
    """What Datasette itself answers, as the page shows it."""
    Path("datasette.yaml").write_text(METADATA)
    path = f"/journal/{query}.json?" + urlencode({"_shape": "array", **parameters})
    command = [sys.executable, "-m", "datasette", JOURNAL, "-m", "datasette.yaml", "--get", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def fail(saga: str = "shop") -> str:
    """A run that leaves a step behind; its id."""

    def stuck() -> None:
        raise RuntimeError("it is still in use")

    def broken() -> None:
        raise RuntimeError("quota used up")

    made = Saga(saga, stack="dev")
    made.add_step("database", action=lambda: None, compensation=stuck)
    made.add_step("servers", action=broken, compensation=lambda: None)
    with pytest.raises(SagaFailed) as raised:
        made.run()
    return raised.value.result.run_id


def test_the_three_questions_are_answered_and_the_journal_is_alma_s_still() -> None:
    runs = [fail(), fail()]
    answers: dict[str, list[dict[str, Any]]] = {}
    good = Saga("mail", stack="prod")

    def look() -> None:
        answers["to_look_after"] = ask("to_look_after")

    # While a runner is at work: what it has written last is not in the file itself yet.
    good.add_step("look", action=look, compensation="none")
    runs.append(good.run().run_id)
    before = hashlib.sha256(JOURNAL.read_bytes()).digest()
    answers |= {"durations": ask("durations"), "failures": ask("failures", saga="sh")}

    assert set(answers) == set(QUERIES), "each is tried"
    assert [(one["run"], one["state"], one["leftovers"]) for one in answers["to_look_after"]] == [
        (runs[2], "RUNNING", 0),
        (runs[1], "FAILED", 1),
        (runs[0], "FAILED", 1),
    ]
    failed = {(one["step"], one["kind"]): one for one in answers["failures"]}
    assert set(failed) == {("servers", "action"), ("database", "compensation")}
    assert [one["times"] for one in failed.values()] == [2, 2]
    assert "quota used up" in failed["servers", "action"]["error"]
    taken = {(one["saga"], one["step"], one["kind"]): one["times"] for one in answers["durations"]}
    assert taken["mail", "look", "action"] == 1
    assert taken["shop", "database", "action"] == 2

    assert hashlib.sha256(JOURNAL.read_bytes()).digest() == before
    with open_journal(JOURNAL, write=False) as journal:
        assert [row.run for row in journal.runs()] == runs[::-1]
    fail("again")
