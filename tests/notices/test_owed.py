"""What was not delivered: it is not lost, is sent once, and by whoever comes next."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from click.testing import CliRunner

from alma import Saga, Webhook
from alma.cli.program import program
from alma.journal import open_journal
from alma.runner.notices import delivering
from tests.notices.receiver import receiving, refusing
from tests.notices.tools import owed, rows, saga, send, states
from tests.waiting import until

if TYPE_CHECKING:
    import pytest

RUN = """
import sys, time
from alma import Saga, Webhook
saga = Saga("shop", notify=[Webhook(sys.argv[2], on=["started", "interrupted"])])
saga.add_step("one", lambda: time.sleep(300), "none")
saga.run(journal=sys.argv[1])
"""


def test_a_killed_runner_loses_nothing(journal: Path, tmp_path: Path) -> None:
    """Killed after the event and before anybody was told: the next command tells of both."""
    script = tmp_path / "run.py"
    script.write_text(RUN)

    def stopped_between_two_attempts() -> bool:
        child.send_signal(signal.SIGSTOP)
        if journal.exists() and any(row.error for row in rows(journal)):
            return True
        child.send_signal(signal.SIGCONT)
        return False

    with refusing() as (url, place):
        child = subprocess.Popen([sys.executable, script, journal, url])
        try:
            until(stopped_between_two_attempts)
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()
        assert states(journal) == [("started", "open")]
        with receiving(at=place) as hook:
            send(journal)
            assert sorted(hook.told) == ["interrupted", "started"]
            send(journal)
            assert len(hook.received) == 2
    assert {state for _, state in states(journal)} == {"delivered"}


def test_two_processes_do_not_both_send_it(journal: Path) -> None:
    def slow() -> None:
        time.sleep(0.2)

    with receiving(slow) as hook:
        owed(journal, hook.url)
        several = [threading.Thread(target=send, args=(journal,)) for _ in range(4)]
        for one in several:
            one.start()
        for one in several:
            one.join()
        assert len(hook.received) == 1
    assert states(journal) == [("completed", "delivered")]


def test_what_somebody_died_with_in_hand_is_sent_again_after_a_minute(journal: Path) -> None:
    with receiving() as hook:
        owed(journal, hook.url)
        (row,) = rows(journal)
        for seconds, told in ((30.0, 0), (-1.0, 1)):
            until_then = datetime.now(UTC) + timedelta(seconds=seconds)
            taken = row._replace(error="", not_before=until_then.isoformat(timespec="microseconds"))
            with open_journal(journal, write=True) as writer:
                assert writer.put_delivery(rows(journal)[0], taken)
            send(journal)
            assert len(hook.received) == told


def test_the_next_run_of_whatever_saga_delivers_what_is_owed(journal: Path) -> None:
    with receiving() as hook:
        owed(journal, hook.url)
        other = Saga("blog")
        other.add_step("one", lambda: until(lambda: bool(hook.received)), "none")
        until(lambda: datetime.fromisoformat(rows(journal)[0].not_before) <= datetime.now(UTC))
        other.run(journal=journal)
    assert states(journal) == [("completed", "delivered")]


def test_after_three_days_an_attempt_that_fails_is_the_last(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "KEPT_UP", timedelta(0))
    saga(Webhook("http://127.0.0.1:9/x", on=["completed"])).run(journal=journal)
    assert states(journal) == [("completed", "given up")]


YAML = """
name: shop
notify:
  - {kind: slack, url_env: HOOK, events: [completed]}
  - {kind: command, argv: ["false"], events: [completed]}
  - {kind: webhook, url: {secret: "${env.HOOK}"}, events: [failed]}
steps:
  - {name: one, kind: command, do: ["true"], undo: ["true"]}
"""


def test_the_command_line_lists_what_was_not_delivered_and_tries_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a saga in YAML."""
    monkeypatch.chdir(tmp_path)
    Path("saga.yaml").write_text(YAML)

    def cli(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(program, words)
        return done.exit_code, done.stdout

    with refusing() as (url, place):
        monkeypatch.setenv("HOOK", url)
        assert cli("up", "--yes")[0] == 0
        assert "completed to slack: open, 1 attempt: no connection" in cli("status")[1]
        found = json.loads(cli("status", "--json")[1])["undelivered"]
        assert {(row["notifier"], row["state"]) for row in found} == {
            ("slack", "open"),
            ("command", "open"),
        }
        with receiving(at=place) as hook:
            code, listed = cli("notices", "--send", "--json")
            assert [row["notifier"] for row in json.loads(listed)["notices"]] == ["command"]
            assert code == 1  # `false` has not taken it
            assert len(hook.received) == 1
    assert "ended with exit code 1" in cli("notices")[1]
    assert "slack" in cli("notices", "latest", "--all")[1]
