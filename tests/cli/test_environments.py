"""One saga for several environments: which one a command is about, and how they are found."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from alma.cli.environments import STATES
from alma.journal import listing
from tests.cli.tools import PLACED, SAGA

Write = Callable[..., Path]
Call = Callable[..., Result]

FUNCTION = """
from alma import Saga

def fail():
    raise RuntimeError("refused")

def shop(region: str) -> Saga:
    saga = Saga("shop", stack="dev")
    saga.add_step(fail, "none")
    return saga
"""


@pytest.fixture(autouse=True)
def _at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def state(cli: Call) -> dict[str, object]:
    return json.loads(cli("status", "--json").stdout)


def test_the_states_that_can_be_asked_for_are_those_that_runs_are_in() -> None:
    """Written down a second time, so that no journal is loaded for the words of an option."""
    assert STATES == listing.STATES


def test_a_stack_is_named_over_what_the_file_says_and_kept(cli: Call, write: Write) -> None:
    write(PLACED)
    assert cli("up", "--stack", "prod").exit_code == 0
    found = state(cli)
    assert (found["stack"], found["steps"][0]["name"]) == ("prod", "on-prod")
    assert cli("up", "--stack", "acme/prod").exit_code == 0
    found = state(cli)
    assert (found["organization"], found["stack"]) == ("acme", "prod")
    both = cli("up", "--stack", "acme/prod", "--org", "other")
    assert both.exit_code == 2
    assert "is of the organization 'acme', not of 'other'" in both.stderr
    bad = cli("up", "--stack", "..")
    assert (bad.exit_code, "'..' cannot be the name of a stack" in bad.stderr) == (2, True)


def test_a_run_that_goes_on_keeps_its_stack(
    cli: Call, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(SAGA)
    monkeypatch.setenv("BREAK", "undo")
    assert cli("up", "--stack", "prod").exit_code == 10
    monkeypatch.delenv("BREAK")
    other = cli("rollback", "latest", "--stack", "dev")
    assert other.exit_code == 2
    assert "is of shop/prod, and goes on over its own stack, not over dev" in other.stderr
    assert cli("rollback", "latest").exit_code == 4


def test_runs_and_status_find_the_environments(
    cli: Call, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(SAGA)
    for place in ("dev", "prod", "acme/prod"):
        assert cli("up", "--stack", place).exit_code == 0
    monkeypatch.setenv("BREAK", "yes")
    assert cli("up", "--stack", "prod").exit_code == 4
    write(PLACED.replace("shop", "other"), "other.py")
    assert cli("up", "other.py").exit_code == 0

    def found(*words: str) -> list[str]:
        entries = json.loads(cli(*words, "--json").stdout)
        return [f"{one['saga']}/{one['stack']} {one['state']}" for one in entries]

    assert found("runs", "--saga", "shop", "--stack", "prod") == [
        "shop/prod COMPENSATED",
        "shop/prod COMPLETED",
        "shop/prod COMPLETED",
    ]
    assert found("runs", "--stack", "acme/prod") == ["shop/prod COMPLETED"]
    assert found("runs", "--state", "compensated") == ["shop/prod COMPENSATED"]
    assert found("runs", "--state", "interrupted") == []
    assert found("runs", "--state", "completed", "--limit", "1") == ["other/dev COMPLETED"]
    assert found("status", "--saga", "shop") == [
        "shop/prod COMPLETED",
        "shop/dev COMPLETED",
        "shop/prod COMPENSATED",
    ]
    lines = cli("status", "--all").stdout.splitlines()
    assert [line.split()[0] for line in lines] == [
        "SAGA",
        "acme/shop/prod",
        "other/dev",
        "shop/dev",
        "shop/prod",
    ]
    assert cli("status", "some-run", "--all").exit_code == 2
    assert "No such runs" in cli("status", "--stack", "none").stdout


def test_the_way_out_leads_to_the_same_environment(cli: Call, write: Write) -> None:
    """Copied without its stack, the hint would bring up another one."""
    write(FUNCTION, "infra.py")
    failed = cli("up", "infra.py:shop", "-p", "region=eu", "--stack", "prod", "--org", "acme")
    assert failed.exit_code == 4
    hint = "`alma-pulumi up infra.py:shop --stack prod --org acme` with the same parameters."
    assert failed.stderr.endswith(f"hint: Mend the cause, then {hint}\n")
