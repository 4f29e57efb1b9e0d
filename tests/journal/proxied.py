"""A journal on Postgres through a proxy: what is opened, run and read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from alma.journal import Journal, open_journal
from alma.journal.address import PostgresUrl
from alma.journal.journal import utc_now
from alma.journal.lease import Lease
from alma.journal.postgres.connection import LOST_SECONDS
from alma.journal.postgres.store import PostgresStore
from alma.system.postgres import ANSWER_SECONDS
from tests.journal.tools import created
from tests.services.wire import Wire


def through(proxy: Wire, url: str) -> str:
    parts = urlsplit(url)
    return url.replace(f":{parts.port}/", f":{proxy.port}/")


@contextmanager
def opened(
    url: str, lost: float = LOST_SECONDS, answer: float = ANSWER_SECONDS
) -> Iterator[Journal]:
    store = PostgresStore(PostgresUrl(url), write=True, lost=lost, answer=answer)
    with Journal(store, utc_now) as journal:
        yield journal


@contextmanager
def a_run(
    url: str, lost: float = LOST_SECONDS, answer: float = ANSWER_SECONDS
) -> Iterator[tuple[Journal, Lease]]:
    with (
        opened(url, lost, answer) as journal,
        journal.acquire("shop/dev", "r1", actor="jane") as lease,
    ):
        journal.create_run("r1", created(), lease)
        yield journal, lease


def types(url: str) -> list[str]:
    """The events of the run, in a chain that is whole."""
    with open_journal(url, write=False) as reader:
        assert reader.verify().ok
        return [entry.event.type for entry in reader.events("r1")]
