"""Notices to an endpoint: what it is sent, and that a run ends as it does, whatever is answered."""

from __future__ import annotations

import base64
import hmac
import json
import threading
from datetime import datetime
from pathlib import Path

import jsonschema
import pytest

from alma import Saga, SagaFailed, Secret, Slack, Webhook
from alma.journal import open_journal
from alma.runner.notices import beside, sending
from alma.runner.notices.payload import schema
from tests.notices.receiver import receiving
from tests.notices.tools import ALL, KEY, rows, saga, send, states
from tests.waiting import until


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


def test_words_that_are_no_text_are_told_all_the_same(journal: Path) -> None:
    def work() -> None:
        raise OSError("no such file: \udcff\0")

    with receiving() as hook:
        made = Saga("shop", notify=[Webhook(hook.url, on=["compensated"])])
        made.add_step("one", work, "none")
        with pytest.raises(SagaFailed):
            made.run(journal=journal)
    assert hook.told == ["compensated"]


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


def test_over_postgres(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from alma.journal.encryption import KEY as NAME
    from alma.journal.encryption import new_key

    monkeypatch.setenv(NAME, new_key())
    with receiving() as hook:
        saga(Webhook(hook.url, on=["started", "completed"])).run(journal=database)
    assert hook.told == ["started", "completed"]
    with open_journal(database, write=False) as journal:
        assert {row.state for row in journal.deliveries()} == {"delivered"}
