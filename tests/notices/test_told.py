"""Who is told of a run: by real requests and programs, from a journal in a file."""

from __future__ import annotations

import base64
import hmac
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner

from alma import (
    DefinitionError,
    NotifyCommand,
    Saga,
    SagaFailed,
    SagaInterrupted,
    Secret,
    Slack,
    Webhook,
)
from alma.cli.program import program
from alma.core import events as ev
from alma.journal import open_journal
from alma.journal.rows import DeliveryRow
from alma.runner.approve import answer, name_here
from alma.runner.notices import beside, delivering, sending
from alma.runner.notices.by_hand import send_now
from alma.runner.notices.payload import schema
from alma.runner.settings import Settings
from tests.notices.receiver import Received, receiving, refusing

KEY = b"0123456789abcdef0123456789abcdef"
ALL = ["started", "compensating", "completed", "compensated", "failed"]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / ".alma" / "journal.db"


def saga(*notify: object, fails: bool = False) -> Saga:
    made = Saga("shop", notify=notify)  # type: ignore[arg-type]

    def work() -> None:
        if fails:
            raise ConnectionError("no answer from <db> & co")

    made.add_step("one", print, print)
    made.add_step("two", work, print)
    return made


def rows(journal: Path) -> list[DeliveryRow]:
    with open_journal(journal, write=False) as reader:
        return reader.deliveries()


def states(journal: Path) -> list[tuple[str, str]]:
    return [(row.notice, row.state) for row in rows(journal)]


def send(journal: Path) -> None:
    send_now(Settings(journal=journal))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.01)


def test_a_webhook_is_told_in_order_and_can_tell_who_it_is_from(journal: Path) -> None:
    secret = Secret("whsec_" + base64.b64encode(KEY).decode())
    with receiving() as hook, pytest.raises(SagaFailed):
        saga(Webhook(hook.url, on=ALL, secret=secret), fails=True).run(journal=journal)
    assert hook.told == ["started", "compensating", "compensated"]
    last = hook.received[-1]
    signed = f"{last.headers['webhook-id']}.{last.headers['webhook-timestamp']}.".encode()
    mac = base64.b64encode(hmac.digest(KEY, signed + last.body, "sha256")).decode()
    assert last.headers["webhook-signature"] == f"v1,{mac}"
    assert last.json["id"] == last.headers["webhook-id"]
    assert last.json["data"]["state"] == "COMPENSATED"
    assert last.json["data"]["failure"]["message"] == "ConnectionError: no answer from <db> & co"
    assert [(row.notice, row.state, row.attempts) for row in rows(journal)] == [
        (name, "delivered", 1) for name in hook.told
    ]


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """Its own example, by the libraries that check it."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    found = sending.signed("msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', key, 1614265330)
    assert found["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_what_is_sent_is_as_its_schema_says(journal: Path) -> None:
    checker = jsonschema.Draft202012Validator(schema())
    with receiving() as hook, pytest.raises(SagaFailed):
        saga(Webhook(hook.url, on=ALL), fails=True).run(journal=journal)
    for one in hook.received:
        checker.validate(one.json)
        assert not checker.is_valid({**one.json, "type": "run.unheard-of"})


def test_what_fails_is_tried_again_while_the_run_goes_on(journal: Path) -> None:
    """With the same id."""
    with receiving(500, 200) as hook:
        made = Saga("shop", notify=[Webhook(hook.url, on=["started"])])
        made.add_step("long", lambda: until(lambda: len(hook.received) == 2), "none")
        made.run(journal=journal)
    first, second = (one.headers["webhook-id"] for one in hook.received)
    assert first == second
    assert [(row.state, row.attempts) for row in rows(journal)] == [("delivered", 2)]


@pytest.mark.parametrize(
    ("status", "state", "seconds"),
    [
        (500, "open", 1),
        (302, "open", 1),
        (404, "open", 1),
        (410, "given up", 1),
        (429, "open", 900),
    ],
)
def test_whatever_is_answered_the_run_ends_as_it_does(
    journal: Path, capfd: pytest.CaptureFixture[str], status: int, state: str, seconds: int
) -> None:
    """Where it says when to come back, that is kept to; where it wants nothing more, that too."""
    wait = {"Retry-After": "900"} if status == 429 else {"Location": "http://127.0.0.1:9/x"}
    with receiving(status, headers=wait) as hook:
        result = saga(Webhook(hook.url, on=["completed"])).run(journal=journal)
    assert result.state.name == "COMPLETED"
    (row,) = rows(journal)
    assert (row.state, row.error) == (state, f"the answer was {status}")
    tried, after = (datetime.fromisoformat(at) for at in (row.tried_at, row.not_before))
    assert (after - tried).total_seconds() >= seconds
    assert ("not delivered yet" in capfd.readouterr().err) == (state == "open")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/x", "http://nobody.invalid/x"])
def test_an_endpoint_that_is_not_there_fails_nothing(journal: Path, url: str) -> None:
    with pytest.raises(SagaFailed) as failed:
        saga(Webhook(url, on=ALL), fails=True).run(journal=journal)
    assert failed.value.result.state.name == "COMPENSATED"
    assert {row.state for row in rows(journal)} == {"open"}
    assert all("no connection" in row.error for row in rows(journal)[:1])


def test_an_endpoint_that_hangs_holds_nothing_up(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the steps, nor the end beyond its grace; the next command delivers."""
    monkeypatch.setattr(beside, "GRACE", 0.1)
    let_go = threading.Event()
    with receiving(let_go.wait) as hook:
        try:
            made = Saga("shop", notify=[Webhook(hook.url, on=["started", "completed"])])
            made.add_step("one", lambda: until(lambda: bool(hook.received)), "none")
            made.run(journal=journal)  # it ends, although nothing was answered
            assert {row.state for row in rows(journal)} == {"open"}
        finally:
            let_go.set()
        until(lambda: states(journal)[0] == ("started", "delivered"))
        send(journal)
        until(lambda: states(journal) == [("started", "delivered"), ("completed", "delivered")])


def test_slack_gets_a_message_in_which_a_run_can_mention_nobody(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving() as hook:
        monkeypatch.setenv("HOOK", hook.url)
        with pytest.raises(SagaFailed):
            saga(Slack(url_env="HOOK", on=["compensated"]), fails=True).run(journal=journal)
    (message,) = (one.json for one in hook.received)
    assert message["text"].startswith("shop/dev is COMPENSATED")
    assert "&lt;db&gt; &amp; co" in json.dumps(message)
    assert "<db>" not in json.dumps(message)


def test_no_secret_is_anywhere(
    journal: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Of a URL that was given, of one in the environment, of a key: not when all goes wrong."""
    key = base64.b64encode(KEY).decode()
    url = "http://127.0.0.1:9/services/sEcReTpath"
    monkeypatch.setenv("HOOK", url)
    monkeypatch.setenv("KEY", f"whsec_{key}")

    def work() -> None:
        raise ConnectionError(f"could not post to {url} with {key}")

    made = Saga(
        "shop",
        notify=[
            Slack(url_env="HOOK"),
            Webhook(Secret(url), secret_env="KEY", name="mine"),
            NotifyCommand(["sh", "-c", "echo $HOOK $KEY; echo $HOOK >&2; exit 3"]),
        ],
    )
    made.add_step("one", work, "none")
    with pytest.raises(SagaFailed) as failed:
        made.run(journal=journal)
    said = capfd.readouterr()
    kept = b"".join(each.read_bytes() for each in journal.parent.rglob("*") if each.is_file())
    told = f"{said.out}{said.err}{failed.value.result.error}{rows(journal)}".encode()
    for secret in (b"sEcReTpath", key.encode()):
        assert secret not in kept
        assert secret not in told
    assert "exit code 3" in " ".join(row.error for row in rows(journal))


def test_a_command_gets_the_notice_on_its_stdin(journal: Path, tmp_path: Path) -> None:
    file = tmp_path / "got.json"
    made = saga(NotifyCommand(["sh", "-c", 'cat > "$1"', "sh", str(file)], on=["completed"]))
    made.run(journal=journal)
    assert json.loads(file.read_text())["type"] == "run.completed"
    assert states(journal) == [("completed", "delivered")]


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("exec sleep 300", "did not end within 0.5 s"),
        ("sleep 300 & sleep 300", "did not end within 0.5 s"),
        ("kill -9 $$", "was killed by SIGKILL"),
        ("exit 7", "ended with exit code 7"),
        ("yes", "did not end within 0.5 s"),
    ],
)
def test_a_command_that_does_not_do_fails_nothing(
    journal: Path, monkeypatch: pytest.MonkeyPatch, script: str, error: str
) -> None:
    if "did not end" in error:
        monkeypatch.setattr(sending, "SECONDS", 0.5)
    made = saga(NotifyCommand(["sh", "-c", script], on=["completed"]))
    assert made.run(journal=journal).state.name == "COMPLETED"
    assert error in rows(journal)[0].error


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


def test_a_signal_while_notices_are_waited_for_changes_no_end(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closing, close = threading.Event(), beside.Notices.close

    def closed(notices: beside.Notices) -> None:
        closing.set()
        close(notices)

    def strike() -> None:
        assert closing.wait(60)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(beside.Notices, "close", closed)
    with receiving(strike) as hook:
        made = saga(Webhook(hook.url, on=["completed"]))
        assert made.run(journal=journal).state.name == "COMPLETED"


def test_of_a_run_that_temporal_drives_nobody_is_told_that_it_was_interrupted(
    journal: Path,
) -> None:
    """Between its operations nobody holds a lock of it."""
    with receiving() as hook:
        made = Saga("shop", notify=[Webhook(hook.url, on=["interrupted"])])
        made.add_step("one", print, "none")
        plan = made.definition()
        with open_journal(journal, write=True) as kept, kept.acquire("shop/dev", "r1") as lease:
            created = ev.RunCreated(
                saga="shop",
                stack="dev",
                kind="up",
                definition=plan.to_json(),
                digest=plan.digest,
                notify=tuple(one for one, _ in made.notify),
            )
            kept.create_run("r1", created, lease)
            workflow = ev.Workflow(id="alma", address="localhost:7233", namespace="default")
            attached = ev.RunnerAttached(
                process=lease.process, actor=lease.actor, workflow=workflow
            )
            kept.append("r1", attached, lease)
        send(journal)
        assert rows(journal) == []
    assert hook.received == []


def owed(journal: Path, url: str) -> None:
    """A run that is over, and of which one notice was not delivered."""
    with refusing() as (nowhere, _):
        os.environ["HOOK"] = nowhere
        saga(Webhook(url_env="HOOK", on=["completed"])).run(journal=journal)
    os.environ["HOOK"] = url
    assert states(journal) == [("completed", "open")]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has much else to do loses no test."""
    monkeypatch.setenv("HOOK", "")
    monkeypatch.setattr(beside, "GRACE", 60.0)
    monkeypatch.setattr(sending, "SECONDS", 60.0)


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


@pytest.mark.parametrize(
    "error",
    [KeyboardInterrupt(), SystemExit(3), RecursionError(), MemoryError(), ValueError("\udcff")],
    ids=lambda error: type(error).__name__,
)
def test_an_object_that_raises_anything_fails_nothing(
    journal: Path, capfd: pytest.CaptureFixture[str], error: BaseException
) -> None:
    """It is asked for once before the run, and then beside it."""

    class Odd:
        asked = 0

        def __str__(self) -> str:
            Odd.asked += 1
            if threading.current_thread() is threading.main_thread():
                return "http://127.0.0.1:9/x"
            raise error

    made = saga(Webhook(Secret(Odd()), on=ALL), fails=True)
    with pytest.raises(SagaFailed) as failed:
        made.run(journal=journal)
    assert failed.value.result.state.name == "COMPENSATED"
    assert failed.value.result.exit_code == 4
    assert Odd.asked > 1
    assert {row.state for row in rows(journal)} == {"open"}
    assert "Traceback" not in capfd.readouterr().err


def test_words_that_are_no_text_are_told_all_the_same(journal: Path) -> None:
    def work() -> None:
        raise OSError("no such file: \udcff\0")

    with receiving() as hook:
        made = Saga("shop", notify=[Webhook(hook.url, on=["compensated"])])
        made.add_step("one", work, "none")
        with pytest.raises(SagaFailed):
            made.run(journal=journal)
    assert hook.told == ["compensated"]


def test_an_approval_is_told_of_once_and_so_is_the_answer(journal: Path) -> None:
    with receiving() as hook:
        on = ["waiting", "interrupted", "approved"]
        made = Saga("shop", notify=[Webhook(hook.url, on=on)])
        made.add_approval("go", [name_here()])
        made.add_step("one", print, "none")
        for _ in range(2):
            with pytest.raises(SagaInterrupted):
                made.run(journal=journal)
        answer("latest", "go", approved=True, reason="fine", settings=Settings(journal=journal))
    assert hook.told == ["waiting", "approved"]
    asked, answered = (one.json["data"]["approval"] for one in hook.received)
    assert (asked["step"], asked["approvers"]) == ("go", [name_here()])
    assert (answered["name"], answered["reason"]) == (name_here(), "fine")


def test_a_part_of_a_run_tells_by_its_own_notify_alone(journal: Path) -> None:
    with receiving() as outer, receiving() as inner:
        part = Saga("part", notify=[Webhook(inner.url, on=["completed"])])
        part.add_step("one", print, "none")
        made = Saga("whole", notify=[Webhook(outer.url, on=["completed"])])
        made.add_saga("part", part)
        made.run(journal=journal)
        until(lambda: len(inner.received) == 1)

    def target(one: Received) -> object:
        return one.json["data"]["target"]

    assert [*map(target, outer.received)] == ["whole/dev"]
    assert [*map(target, inner.received)] == ["part/dev"]


def test_over_postgres(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from alma.journal.encryption import KEY as NAME
    from alma.journal.encryption import new_key

    monkeypatch.setenv(NAME, new_key())
    with receiving() as hook:
        saga(Webhook(hook.url, on=["started", "completed"])).run(journal=database)
    assert hook.told == ["started", "completed"]
    with open_journal(database, write=False) as journal:
        assert {row.state for row in journal.deliveries()} == {"delivered"}


def test_what_is_missing_is_said_before_anything_is_begun(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DefinitionError, match="the environment variable HOOK is not set here"):
        saga(Slack(url_env="HOOK")).run(journal=journal)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(Exception, match='notify "webhook" needs httpx, which is not installed'):
        saga(Webhook("https://x.invalid")).run(journal=journal)
    assert not journal.exists()


@pytest.mark.parametrize(
    ("notify", "words"),
    [
        (Webhook("https://x.invalid"), "must be a list"),
        ([print], "must hold Webhook, Slack or NotifyCommand"),
        ([Webhook("ftp://x.invalid")], "no http or https URL"),
        ([Webhook("https://u:sEcReT@x.invalid")], "holds a password"),
        ([Webhook()], "needs either url or url_env"),
        ([Webhook("https://x.invalid", on=["fail"])], "no notice 'fail'"),
        ([Webhook("https://x.invalid", on=[])], "told of nothing"),
        ([Webhook("https://x.invalid", secret=Secret("sEcReT"))], "24 to 64 bytes in base64"),
        ([Webhook("https://x.invalid", secret="sEcReT")], "secret must be a Secret"),  # type: ignore[arg-type]
        ([Webhook(url_env="A-B")], "name of an environment variable"),
        ([Slack("https://hooks.slack.invalid/sEcReT")], "is a secret"),  # type: ignore[arg-type]
        ([NotifyCommand("x.sh")], "a list of words"),
        ([NotifyCommand(["x", Secret("sEcReT")])], "seen by all on the machine"),  # type: ignore[list-item]
        ([Webhook("https://x.invalid", name="a"), Slack(url_env="X", name="a")], 'named "a"'),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(notify: Any, words: str) -> None:
    with pytest.raises(DefinitionError, match=words) as refused:
        Saga("shop", notify=notify)
    assert "sEcReT" not in str(refused.value)


def test_two_of_a_kind_are_told_apart() -> None:
    both = Saga("shop", notify=[Slack(url_env="A"), Slack(url_env="B")])
    assert [one.name for one, _ in both.notify] == ["slack", "slack-2"]


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


def test_who_only_keeps_the_books_runs_no_program(journal: Path, tmp_path: Path) -> None:
    """A command of `notify` is run by its own saga, or where that is asked for."""
    file = tmp_path / "got"
    made = Saga("shop", notify=[NotifyCommand(["touch", str(file)], on=["refused"])])
    made.add_approval("go", [name_here()])
    with pytest.raises(SagaInterrupted):
        made.run(journal=journal)
    answer("latest", "go", approved=False, reason="no", settings=Settings(journal=journal))
    assert not file.exists()
    assert states(journal) == [("refused", "open")]
    send(journal)
    assert file.exists()
