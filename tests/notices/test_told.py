"""Who is told of a run: by real requests and programs, from a journal in a file."""

from __future__ import annotations

import base64
import hmac
from pathlib import Path

import pytest

from alma import Saga, SagaFailed, Secret, Webhook
from alma.journal import open_journal
from alma.journal.rows import DeliveryRow
from tests.notices.receiver import receiving

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
