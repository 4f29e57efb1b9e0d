"""A saga that tells, what its journal keeps of that, and waiting for it."""

from __future__ import annotations

import os
from pathlib import Path

from alma import Saga, Webhook
from alma.journal import open_journal
from alma.journal.rows import DeliveryRow
from alma.runner.notices.by_hand import send_now
from alma.runner.settings import Settings
from tests.notices.receiver import refusing

KEY = b"0123456789abcdef0123456789abcdef"
ALL = ["started", "compensating", "completed", "compensated", "failed"]


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


def owed(journal: Path, url: str) -> None:
    """A run that is over, and of which one notice was not delivered."""
    with refusing() as (nowhere, _):
        os.environ["HOOK"] = nowhere
        saga(Webhook(url_env="HOOK", on=["completed"])).run(journal=journal)
    os.environ["HOOK"] = url
    assert states(journal) == [("completed", "open")]
