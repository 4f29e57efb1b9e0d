"""Some steps of a saga on the command line, over real stacks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.cli.test_stacks import STACKS

Write = Callable[..., Path]
Call = Callable[..., Result]

PLAIN = """
from alma import Saga

saga = Saga("plain", stack="dev")
for name in ("one", "two", "three"):
    saga.add_step(print, "none", name=name)
"""


@pytest.mark.lives
@pytest.mark.usefixtures("pulumi_cli")
def test_one_stack_is_run_with_the_outputs_that_another_one_has(write: Write, cli: Call) -> None:
    """A secret one too; and once it is destroyed, nothing is started."""
    write(STACKS)
    assert cli("up", "saga.py", "database").exit_code == 0
    alone = cli("up", "saga.py", "servers", "--exclusive")
    assert alone.exit_code == 0, alone.stderr
    assert "up, 1 of 2 steps" in alone.stdout
    seen = json.loads(cli("status", "--json").stdout)
    assert [step["name"] for step in seen["steps"]] == ["servers"]
    assert seen["steps"][0]["changes"]["create"] == 2
    assert seen["not_selected"] == ["database"]
    assert "hunter22" not in Path(".alma/journal.db").read_bytes().decode(errors="replace")
    assert cli("destroy", "saga.py", "database", "--exclusive", "--yes").exit_code == 0
    refused = cli("up", "saga.py", "servers", "--exclusive")
    assert refused.exit_code == 2
    assert 'of step "database", which is not selected, cannot be used: run ' in refused.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nope"], '"nope" is no step of saga "plain".'),
        (["t*x"], '"t*x" is no step'),
        (["--from", "nope"], '--from "nope" is no step'),
        (["--exclude", "two"], '--exclude "two" cannot be: step "three" comes after it'),
        (["--exclusive"], "--exclusive runs the steps that are named, and none is."),
    ],
)
@pytest.mark.parametrize("command", ["up", "graph"])
def test_a_selection_that_cannot_be_is_one_sentence_and_2(
    write: Write, cli: Call, command: str, words: list[str], said: str
) -> None:
    """Nothing was started."""
    write(PLAIN)
    result = cli(command, "saga.py", *words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert not Path(".alma/journal.db").exists()


def test_a_graph_shows_what_is_selected(write: Write, cli: Call) -> None:
    """In each of its forms."""
    write(PLAIN)
    assert "style s2 stroke-dasharray" in cli("graph", "saga.py", "two").stdout
    assert (
        '"three" [style="rounded,dashed"]'
        in cli("graph", "saga.py", "two", "--format", "dot").stdout
    )
    nodes = json.loads(cli("graph", "saga.py", "two", "--json").stdout)["nodes"]
    assert [node["name"] for node in nodes if node["selected"]] == ["one", "two"]
