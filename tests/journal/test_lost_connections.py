"""A journal on Postgres whose connection is lost: what was added is there once, or not at all."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg._preparing import Prepare, PrepareManager

from alma import Saga, SagaInterrupted
from alma.core.result import Result
from alma.errors import JournalError, StaleEpochError
from alma.journal import Journal, open_journal
from alma.journal.address import PostgresUrl
from alma.journal.encryption import KEY, new_key
from alma.journal.journal import utc_now
from alma.journal.lease import Lease
from alma.journal.postgres.connection import LOST_SECONDS
from alma.journal.postgres.store import PostgresStore
from alma.pulumi.direct import _fetcher
from alma.runner import up
from alma.runner.settings import Settings
from alma.system.postgres import ANSWER_SECONDS, BoundedConnection
from tests.journal.postgres import connected
from tests.journal.tools import created, intended, succeeded
from tests.services.postgres import Server
from tests.services.wire import Strike, Wire


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, new_key())


@pytest.fixture
def in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the wire carry each statement as it is, which it does once where it is prepared."""
    monkeypatch.setattr(PrepareManager, "get", lambda *_: (Prepare.NO, b""))


@pytest.fixture
def proxy(database: str) -> Iterator[Wire]:
    parts = urlsplit(database)
    proxy = Wire(str(parts.hostname), int(parts.port or 0))
    yield proxy
    proxy.close()


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


@pytest.mark.usefixtures("in_words")
@pytest.mark.parametrize("statement", [b"BEGIN", b"COMMIT"])
def test_a_server_that_falls_silent_in_a_statement_is_asked_over_another_connection(
    database: str, proxy: Wire, statement: bytes
) -> None:
    """The old one is open still, and what it was told is done: it is found, not done again."""
    with a_run(through(proxy, database), answer=0.5) as (journal, lease):
        strike = proxy.hush(statement)
        assert journal.append("r1", intended(), lease).seq == 2
        assert lease.held
        assert journal.append("r1", succeeded(), lease).seq == 3
    assert strike.hits == 1
    assert types(database) == ["RunCreated", "OperationIntended", "OperationSucceeded"]


def test_a_server_that_never_answers_again_ends_the_writing(database: str, proxy: Wire) -> None:
    """Its connections stay open, new ones too; an event that nobody has confirmed is not there."""
    with a_run(f"{through(proxy, database)}&connect_timeout=2", 0.3, 0.3) as (journal, lease):
        proxy.mute()
        with pytest.raises(JournalError, match="cannot be reached"):
            journal.append("r1", intended(), lease)
        proxy.speak()
        with pytest.raises(StaleEpochError):
            journal.append("r1", intended(), lease)
        assert not lease.held
    assert types(database) == ["RunCreated"]


def test_a_server_that_accepts_and_never_speaks_is_one_sentence(database: str, proxy: Wire) -> None:
    proxy.mute()
    with pytest.raises(JournalError, match=r"cannot be reached \(connection timeout expired\)"):
        open_journal(f"{through(proxy, database)}&connect_timeout=2", write=False)


def test_a_reader_whose_server_falls_silent_reads_over_another_connection(
    database: str, proxy: Wire
) -> None:
    with a_run(database):
        store = PostgresStore(PostgresUrl(through(proxy, database)), write=False, answer=0.5)
        with Journal(store, utc_now) as reader:
            proxy.hush(b"SELECT")
            assert [row.run for row in reader.runs()] == ["r1"]


def test_a_state_in_a_database_that_falls_silent_is_read_by_the_cli(
    database: str, proxy: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of alma's other connection to a Postgres."""
    monkeypatch.setattr(BoundedConnection, "answer_seconds", 0.3)
    with connected(database) as connection:
        connection.execute("CREATE TABLE pulumi_state (key text, data json)")
    fetch = _fetcher(through(proxy, database))
    assert fetch is not None
    proxy.hush(b"pulumi_state")
    with pytest.raises(psycopg.OperationalError, match="has not answered"):
        fetch(".pulumi/stacks/p/s.json")


def test_a_server_that_is_started_again_is_found_again(own_postgres: Server) -> None:
    """It has forgotten all sessions, and their locks."""
    url = own_postgres.address.url
    with a_run(url) as (journal, lease):
        own_postgres.stop()
        own_postgres.start()
        journal.append("r1", intended(), lease)
        assert journal.is_held("shop/dev")
    assert types(url) == ["RunCreated", "OperationIntended"]


def test_another_server_at_the_same_place_is_another_journal(
    own_postgres: Server, database: str, proxy: Wire
) -> None:
    """A restored or foreign server: nothing is written there."""
    with opened(own_postgres.address.url, lost=0.5) as other:
        assert other.path != opened_path(database)
    with a_run(through(proxy, database), lost=2) as (journal, lease):
        proxy.sever()
        proxy.there = (own_postgres.address.host, int(own_postgres.address.port))
        with connected(own_postgres.address.url) as connection:
            name = urlsplit(database).path[1:]
            connection.execute(f"CREATE DATABASE {name}".encode())
        with pytest.raises(JournalError, match="Another server answers"):
            journal.append("r1", intended(), lease)


def opened_path(url: str) -> Path:
    with open_journal(url, write=False) as journal:
        return journal.path


def test_behind_a_pooler_there_is_no_lease(database: str) -> None:
    """Its clients are told a key of its own in place of the session's."""

    def pooled(data: bytes) -> bytes:
        at = data.find(b"K\x00\x00\x00\x0c")
        if at < 0:
            return data
        return data[: at + 5] + struct.pack("!I", 4711) + data[at + 9 :]

    parts = urlsplit(database)
    proxy = Wire(str(parts.hostname), int(parts.port or 0), answer=pooled)
    try:
        for write in (False, True):
            with pytest.raises(JournalError, match="behind a connection pooler"):
                open_journal(through(proxy, database), write=write)
    finally:
        proxy.close()


# -- a run -------------------------------------------------------------------------------------


def run(url: str, between: Callable[[], None], lost: float) -> Coroutine[Any, Any, Result]:
    saga = Saga("shop", stack="dev")
    saga.add_step(action=between, name="one", compensation="none")
    saga.add_step(action=lambda: None, name="two", compensation="none")

    def opener(where: object, /, *, write: bool) -> Journal:
        store = PostgresStore(PostgresUrl(str(where and url)), write=write, lost=lost)
        return Journal(store, utc_now)

    settings = Settings(journal=url, open_journal=opener, handle_signals=False)
    return up(saga, settings=settings)


async def test_a_run_goes_on_over_a_connection_that_is_had_back(database: str, proxy: Wire) -> None:
    result = await run(through(proxy, database), proxy.sever, LOST_SECONDS)
    assert result.state.name == "COMPLETED"
    with open_journal(database, write=False) as reader:
        assert reader.verify().ok
        assert not reader.is_held("shop/dev")


async def test_a_run_whose_journal_stays_away_stops_and_leaves_its_record_on_stderr(
    database: str, proxy: Wire, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is under way ends; its outcome is told where it can be; no other step begins."""
    with pytest.raises(SagaInterrupted, match="was stopped") as stopped:
        await run(through(proxy, database), proxy.down, 0.3)
    assert stopped.value.exit_code == 8
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    told = [json.loads(line) for line in lines]
    assert any("OperationSucceeded" in json.dumps(one) for one in told)
    proxy.up()
    with open_journal(database, write=False) as reader:
        assert reader.verify().ok
        (row,) = reader.runs()
        events = [entry.event.type for entry in reader.events(row.run)]
    assert "OperationIntended" in events
    assert "OperationSucceeded" not in events
