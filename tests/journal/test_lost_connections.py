"""A journal on Postgres whose connection is lost: what was added is there once, or not at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from alma.errors import JournalError, StaleEpochError
from alma.journal import Journal, open_journal
from alma.journal.lease import Lease
from tests.journal.postgres import connected
from tests.journal.proxied import a_run, opened, through, types
from tests.journal.tools import created, intended, succeeded
from tests.services.wire import Strike, Wire

pytestmark = pytest.mark.usefixtures("key")

LOSSES: dict[str, Callable[[Wire], Strike | None]] = {
    "cut": lambda proxy: proxy.sever(),
    "cut, and the server does not know": lambda proxy: proxy.sever(half=True),
    "commit not sent": lambda proxy: proxy.cut(b"COMMIT"),
    "commit done, its answer lost": lambda proxy: proxy.cut(b"COMMIT", done=True),
    "begin not sent": lambda proxy: proxy.cut(b"BEGIN"),
    "place read, its answer lost": lambda proxy: proxy.cut(b"BEGIN", done=True),
}


@pytest.mark.usefixtures("in_words")
@pytest.mark.parametrize("loss", LOSSES)
def test_an_event_is_there_once_whatever_became_of_the_connection(
    database: str, proxy: Wire, loss: str
) -> None:
    with a_run(through(proxy, database)) as (journal, lease):
        strike = LOSSES[loss](proxy)
        entry = journal.append("r1", intended(), lease)
        assert entry.seq == 2
        assert lease.held
        assert journal.is_held("shop/dev")
        assert journal.append("r1", succeeded(), lease).seq == 3
    assert strike is None or strike.hits == 1
    assert types(database) == ["RunCreated", "OperationIntended", "OperationSucceeded"]
    with connected(database) as connection:
        assert connection.execute("SELECT epoch FROM leases").fetchall() == [(1,)]


SYNC = b"S\x00\x00\x00\x04"
"""What ends a pipeline: with it the server keeps what it was sent without a COMMIT."""
ALONE: dict[str, Callable[[Wire], Strike | None]] = {
    "cut": lambda proxy: proxy.sever(),
    "cut, and the server does not know": lambda proxy: proxy.sever(half=True),
    "event not sent": lambda proxy: proxy.cut(b"INSERT INTO events"),
    "event sent, not its end": lambda proxy: proxy.cut(b"INSERT INTO events", done=True),
    "end not sent": lambda proxy: proxy.cut(SYNC),
    "end sent, its answer lost": lambda proxy: proxy.cut(SYNC, done=True),
}


@pytest.mark.parametrize("loss", ALONE)
def test_an_event_that_is_sent_in_one_go_is_there_once_too(
    database: str, proxy: Wire, request: pytest.FixtureRequest, loss: str
) -> None:
    """Each but the first, where nobody else adds any."""
    if not loss.startswith("end"):
        request.getfixturevalue("in_words")
    with a_run(through(proxy, database)) as (journal, lease):
        journal.append("r1", intended(), lease)
        strike = ALONE[loss](proxy)
        assert journal.append("r1", succeeded(), lease).seq == 3
        assert journal.append("r1", intended(2), lease).seq == 4
    assert strike is None or strike.hits == 1
    kinds = ["RunCreated", "OperationIntended", "OperationSucceeded", "OperationIntended"]
    assert types(database) == kinds


@pytest.mark.usefixtures("in_words")
@pytest.mark.parametrize("loss", ["commit not sent", "commit done, its answer lost"])
def test_a_lease_is_taken_once_whatever_became_of_the_connection(
    database: str, proxy: Wire, loss: str
) -> None:
    with opened(through(proxy, database)) as journal:
        strike = LOSSES[loss](proxy)
        with journal.acquire("shop/dev", "r1") as lease:
            assert lease.epoch == 1
            journal.create_run("r1", created(), lease)
    assert strike is not None
    assert strike.hits == 1
    assert types(database) == ["RunCreated"]


def test_reading_goes_on_over_another_connection(database: str, proxy: Wire) -> None:
    with (
        a_run(through(proxy, database)),
        open_journal(through(proxy, database), write=False) as reader,
    ):
        for _ in range(3):
            proxy.sever()
            assert [row.run for row in reader.runs()] == ["r1"]


def test_a_lease_that_another_has_taken_meanwhile_is_gone(database: str, proxy: Wire) -> None:
    """The stale runner writes nothing more, and says why; the other one is not disturbed."""
    with a_run(through(proxy, database)) as (journal, lease):
        proxy.down()
        with opened(database) as other, _acquired(other) as mine:
            proxy.up()
            with pytest.raises(JournalError, match="lost, and with it the lease on shop/dev"):
                journal.append("r1", intended(), lease)
            assert not lease.held
            with pytest.raises(StaleEpochError):
                journal.append("r1", intended(), lease)
            assert other.append("r1", succeeded(), mine).epoch == 2
    assert types(database) == ["RunCreated", "OperationSucceeded"]


@contextmanager
def _acquired(journal: Journal) -> Iterator[Lease]:
    """The server notices that the other one is gone, a moment later."""
    deadline = time.monotonic() + 60
    while journal.is_held("shop/dev") and time.monotonic() < deadline:
        time.sleep(0.02)
    with journal.acquire("shop/dev", "r1") as lease:
        yield lease


def test_a_server_that_stays_away_ends_the_writing(database: str, proxy: Wire) -> None:
    with a_run(through(proxy, database), lost=0.3) as (journal, lease):
        proxy.down()
        with pytest.raises(JournalError, match="cannot be reached"):
            journal.append("r1", intended(), lease)
        proxy.up()
        with pytest.raises(StaleEpochError):
            journal.append("r1", intended(), lease)
        assert [entry.seq for entry in journal.events("r1")] == [1]
    assert types(database) == ["RunCreated"]
