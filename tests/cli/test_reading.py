"""Commands that read: status, runs, history, verify."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import Result

from alma.core import events as ev
from alma.reports.summary import summarize
from tests.cli.tools import names

Write = Callable[..., Path]
Call = Callable[..., Result]

PROCESS = ev.Process(host="here", pid=7, started=1.0)
SAMPLES: tuple[ev.Event, ...] = (
    ev.RunCreated(saga="s", stack="dev", kind="up", definition={"steps": [1]}, digest=""),
    ev.RunnerAttached(process=PROCESS, actor="me@here"),
    ev.RunResumed(direction="back", actor="me@here"),
    ev.InterruptReceived(signal="SIGINT", count=1),
    ev.StepStarted(step="a", project="s-a", stack="dev", held=3),
    ev.OperationIntended(step="a", operation="o", kind="up", attempt=2),
    ev.ProcessSpawned(step="a", operation="o", role="cli", process=PROCESS),
    ev.RunExtended(expiry=ev.Expiry(), actor="me@here", reason="it\nstays"),
    ev.HostDeclaredGone(host="ci-1#b-1", actor="me@here", reason="thrown\naway"),
    ev.SignalSent(step="a", operation="o", signal="SIGINT", why="deadline"),
    ev.OperationSucceeded(step="a", operation="o", kind="up", changes={"create": 3}),
    ev.OperationFailed(
        step="a", operation="o", kind="up", failure=ev.Failure(kind="provider", message="no\nmore")
    ),
    ev.ValuesResealed(sealed="x"),
    ev.ReadyAwaited(step="a", operation="o", kind="up"),
    ev.OperationLeftInDoubt(step="a", operation="o", reason="stopped"),
    ev.OperationReconciled(step="a", operation="o", found="nothing"),
    ev.CompensationStarted(reason='step "a" failed'),
    ev.StepCompensated(step="a", how="destroyed"),
    ev.StepRetained(step="a", reason="it asks for it"),
    ev.ChildStarted(step="a", run="r-2", target="region/eu", item="eu"),
    ev.ApprovalAsked(step="a", digest="d" * 64, approvers=("jane", "joe")),
    ev.ApprovalAnswered(
        step="a", digest="d", approved=False, name="jane", actor="me@here", reason="friday"
    ),
    ev.StepSkipped(step="a", actor="me@here", reason="ticket"),
    ev.RunAbandoned(actor="me@here", reason="ticket"),
    ev.RunCompleted(),
    ev.RunCompensated(),
    ev.RunFailed(reason="not undone: a"),
    ev.RunInterrupted(reason="a signal"),
)


def test_every_event_has_a_summary_of_its_own() -> None:
    assert {event.type for event in SAMPLES} == {cls.__name__ for cls in ev.Event.__subclasses__()}
    for event in SAMPLES:
        text = summarize(event)
        assert text
        assert text != event.type
        assert "\n" not in text


@pytest.mark.parametrize("command", ["status", "history latest", "resume latest", "rollback x"])
def test_no_such_run_is_6_and_writes_nothing(cli: Call, tmp_path: Path, command: str) -> None:
    result = cli(*command.split())
    assert result.exit_code == 6
    assert result.stderr.startswith("error: There are no runs in ")
    assert names(tmp_path) == []


def test_runs_without_any_is_no_error(cli: Call, tmp_path: Path) -> None:
    assert cli("runs").stdout == "No runs in .alma/journal.db yet.\n"
    assert json.loads(cli("runs", "--json").stdout) == []
    assert names(tmp_path) == []


def test_runs_come_newest_first_and_no_more_than_asked_for(write: Write, cli: Call) -> None:
    write()
    for _ in range(3):
        cli("up")
    runs = [run["run"] for run in json.loads(cli("runs", "--json").stdout)]
    assert runs == sorted(runs, reverse=True)
    lines = cli("runs", "--limit", "2").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["RUN", *runs[:2]]


def test_status_without_a_run_is_of_the_latest(write: Write, cli: Call) -> None:
    write()
    cli("up")
    cli("destroy")
    runs = json.loads(cli("runs", "--json").stdout)
    assert json.loads(cli("status", "--json").stdout)["run"] == runs[0]["run"]
    assert json.loads(cli("status", runs[1]["run"], "--json").stdout)["kind"] == "up"


def test_a_unique_prefix_is_enough_and_an_ambiguous_one_lists_the_runs(
    write: Write, cli: Call
) -> None:
    write()
    cli("up")
    cli("up")
    newest, oldest = (run["run"] for run in json.loads(cli("runs", "--json").stdout))
    assert json.loads(cli("status", oldest[:-1], "--json").stdout)["run"] == oldest
    result = cli("status", newest[:4])
    assert result.exit_code == 6
    assert newest in result.stderr


def test_status_shows_steps_and_masked_outputs(write: Write, cli: Call) -> None:
    write()
    cli("up")
    text = cli("status").stdout
    assert "State    COMPLETED" in text
    assert [line.split()[:3] for line in text.splitlines() if line.startswith("database ")] == [
        ["database", "COMPLETED", "1"]
    ]
    assert 'database.password: "[secret]"' in text


def test_history_json_is_a_list_of_events_with_their_own_fields(write: Write, cli: Call) -> None:
    write()
    cli("up")
    events = json.loads(cli("history", "latest", "--json").stdout)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert datetime.fromisoformat(events[0]["at"]).tzinfo == UTC
    assert events[0]["type"] == "RunCreated"
    assert events[0]["saga"] == "shop"
    succeeded = [event for event in events if event["type"] == "OperationSucceeded"]
    assert succeeded[0]["step"] == "database"
    assert succeeded[0]["outputs"]["password"] == "[secret]"


def test_history_has_one_line_for_each_event(write: Write, cli: Call) -> None:
    write()
    cli("up")
    events = json.loads(cli("history", "latest", "--json").stdout)
    lines = cli("history", "latest").stdout.splitlines()
    assert len(lines) == len(events) + 1


def test_verify_prints_a_head_that_a_later_verify_can_be_given(write: Write, cli: Call) -> None:
    write()
    cli("up")
    head = cli("verify").stdout.splitlines()[1].removeprefix("head: ")
    cli("destroy")
    result = cli("verify", "--head", head)
    assert result.exit_code == 0
    assert json.loads(cli("verify", "--json").stdout)["ok"] is True


def test_verify_names_the_break_with_11(write: Write, cli: Call) -> None:
    write()
    cli("up")
    head = json.loads(cli("verify", "--json").stdout)["head"]
    position = int(head.split(":")[0])
    wrong = f"{position + 5}:{'0' * 64}"
    result = cli("verify", "--head", wrong)
    assert result.exit_code == 11
    document = json.loads(cli("verify", "--head", wrong, "--json").stdout)
    assert document["ok"] is False
    assert document["exit_code"] == 11


def test_an_edited_journal_is_not_trusted(write: Write, cli: Call) -> None:
    write()
    cli("up")
    with sqlite3.connect(".alma/journal.db") as connection:
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("UPDATE events SET data = replace(data, 'http', 'ftp')")
    connection.close()
    assert cli("verify").exit_code == 11
    assert cli("status").exit_code == 11
    doctor = cli("doctor")
    assert doctor.exit_code == 1
    assert "fail  journal" in doctor.stdout


def test_verify_of_a_journal_that_is_not_there_is_6(cli: Call, tmp_path: Path) -> None:
    assert cli("verify", "--journal", "gone.db").exit_code == 6
    assert names(tmp_path) == []


def test_a_journal_that_is_no_journal_is_refused(cli: Call, tmp_path: Path) -> None:
    (tmp_path / "j.db").write_text("not a database, but long enough to be taken for one" * 20)
    for command in (["runs"], ["status"], ["history", "latest"], ["verify"]):
        result = cli(*command, "--journal", "j.db")
        assert result.exit_code == 11, command
        assert len(result.stderr.splitlines()) <= 2
