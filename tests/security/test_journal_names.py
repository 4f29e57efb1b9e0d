"""What a journal names, even one's own: no path out of a row, no program of it in keeping books."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from alma.core import events as ev
from alma.core.definition import StepDefinition
from tests.security.planting import OWNED, plant

Cli = Callable[..., Result]
ELSEWHERE = ev.Process(host="elsewhere", pid=1, started=0.0)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / ".alma" / "journal.db"


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A directory of the user's, with what a playbook's private directory is called in it."""
    (tmp_path / "victim" / "private").mkdir(parents=True)
    (tmp_path / "victim" / "private" / "keys").write_text("mine")
    return tmp_path / "victim"


def test_a_log_directory_is_the_journals_own(journal: Path, victim: Path, cli: Cli) -> None:
    """What a playbook was given is removed where alma has put it, and not where a row says."""
    step = StepDefinition(name="play", kind="ansible", settings={"values": {}, "secrets": []})
    intended = ev.OperationIntended(step="play", operation="o-1", kind="action", log=str(victim))
    run = plant(journal, [step], ev.StepStarted(step="play"), intended)
    own = journal.parent / "logs" / run / "o-1" / "private"
    own.mkdir(parents=True)
    assert cli("rollback", run).exit_code == 10
    assert (victim / "private" / "keys").read_text() == "mine"
    assert not own.exists()


@pytest.mark.parametrize("name", ["../../../victim", "/victim", "..", ""])
def test_an_operation_that_is_called_as_a_path_is_refused(
    journal: Path, victim: Path, cli: Cli, name: str
) -> None:
    step = StepDefinition(name="play", kind="ansible", settings={"values": {}, "secrets": []})
    operation = str(victim) if name == "/victim" else name
    intended = ev.OperationIntended(step="play", operation=operation, kind="action")
    run = plant(journal, [step], ev.StepStarted(step="play"), intended)
    result = cli("rollback", run)
    assert result.exit_code == 11, result.output
    assert "is the name of no run and no operation" in result.stderr
    assert (victim / "private" / "keys").read_text() == "mine"


@pytest.mark.parametrize("command", ["skip", "abandon"])
def test_keeping_the_books_runs_nothing(
    tmp_path: Path, journal: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """No program and no module that the journal names; what it has seen made is named."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_kind.py").write_text(OWNED)
    (tmp_path / "evil.sh").write_text("#!/bin/sh\ntouch owned\n")
    (tmp_path / "evil.sh").chmod(0o755)
    settings = {"program": str(tmp_path / "evil.sh"), "values": {}, "secrets": []}
    steps = [
        StepDefinition(name="module", kind="terraform", work_dir=str(tmp_path), settings=settings),
        StepDefinition(name="kind", kind="own_kind:Kind"),
    ]
    made = ev.ResourceChange(urn="aws_instance.web", op="create", id="i-1")
    run = plant(
        journal,
        steps,
        *(ev.StepStarted(step=step.name) for step in steps),
        ev.OperationIntended(step="module", operation="o-1", kind="up"),
        ev.OperationSucceeded(step="module", operation="o-1", kind="up", resources=(made,)),
        ev.CompensationStarted(reason="x"),
    )
    words = [run, "module"] if command == "skip" else [run]
    result = cli(command, *words, "--reason", "x")
    assert result.exit_code == (0 if command == "skip" else 10), result.output
    assert not (tmp_path / "owned").exists()
    last = cli("history", run, "--json").stdout.rpartition('"leftovers"')[2]
    assert "aws_instance.web" in last
