"""An append over Postgres takes for granted what the last one left: the server says if not."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from alma.errors import (
    JournalError,
    StaleEpochError,
    UnavailableJournalError,
    UntrustedJournalError,
)
from alma.journal import Journal, open_journal
from alma.journal.encryption import KEY, new_key
from alma.journal.lease import Lease
from alma.journal.postgres.locks import key_of
from tests.journal.postgres import connected
from tests.journal.tools import created, intended, succeeded
from tests.waiting import until

Pair = tuple[Journal, Lease]
TAKEN_OVER = b"""
INSERT INTO leases SELECT number + 1, target, epoch + 1, 'r9', host, pid, started, actor,
    acquired_at, prev, hash FROM leases"""
WAITERS = b"""
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, new_key())


@contextmanager
def a_run(url: str, run: str, saga: str = "shop", wait: float | None = None) -> Iterator[Pair]:
    """With two events, so that the next append expects what it finds."""
    with (
        open_journal(url, write=True, wait=wait) as journal,
        journal.acquire(f"{saga}/dev", run, actor="jane") as lease,
    ):
        journal.create_run(run, created(saga), lease)
        journal.append(run, intended(), lease)
        yield journal, lease


@pytest.fixture
def ours(database: str) -> Iterator[Pair]:
    with a_run(database, "r1") as pair:
        yield pair


@pytest.fixture
def another(database: str, ours: Pair) -> Iterator[Pair]:  # noqa: ARG001 - begun after it
    with a_run(database, "r2", "mail") as pair:
        yield pair


def database_of(journal: Journal) -> Any:
    return vars(journal)["_store"]._database


def exchanges(pair: Pair, tmp_path: Path) -> int:
    """How often the server was waited for in an append: what libpq's own trace has of it."""
    journal, lease = pair
    wire = database_of(journal).session().pgconn
    with (tmp_path / "trace").open("w+") as trace:
        wire.trace(trace.fileno())
        journal.append(lease.run, succeeded(), lease)
        wire.untrace()
        trace.seek(0)
        return sum("ReadyForQuery" in line for line in trace)


def test_who_adds_alone_needs_one_exchange(ours: Pair, tmp_path: Path) -> None:
    assert [exchanges(ours, tmp_path) for _ in range(8)] == [1] * 8


@pytest.mark.parametrize("at", range(5))
def test_who_is_cut_off_while_it_sends_has_added_nothing(ours: Pair, at: int) -> None:
    """By Ctrl-C, or a host's handler that raises: the server has the first statements then."""
    journal, lease = ours
    drafts = [journal.draft("r1", 0, event, lease) for event in (succeeded(), intended(2))]
    left = iter([None] * at)

    def execute(self: Any, *arguments: Any, **options: Any) -> Any:
        if next(left, KeyboardInterrupt) is KeyboardInterrupt:
            patch.undo()
            raise KeyboardInterrupt
        return real(self, *arguments, **options)

    kind = type(database_of(journal).session())
    real = kind.execute
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "execute", execute)
        with pytest.raises(KeyboardInterrupt):
            journal.commit(drafts, lease)
    assert journal.verify().ok
    assert len(journal.events("r1")) == 2
    assert [one.seq for one in journal.commit(drafts, lease)] == [3, 4]


def test_who_has_company_is_refused_and_asks(ours: Pair, another: Pair, tmp_path: Path) -> None:
    """The events of both are in one chain, in the order in which they came."""
    for _ in range(8):
        assert exchanges(ours, tmp_path) in (5, 6)
        assert exchanges(ours, tmp_path) == 2
        assert exchanges(another, tmp_path) in (5, 6)
        assert exchanges(another, tmp_path) == 2
        assert exchanges(another, tmp_path) == 1
    for journal, lease in (ours, another):
        assert journal.verify().ok
        entries = journal.events(lease.run)
        assert [entry.seq for entry in entries] == [*range(1, len(entries) + 1)]
    assert [len(pair[0].events(pair[1].run)) for pair in (ours, another)] == [18, 26]


def test_an_epoch_that_went_on_is_seen_in_the_one_exchange(database: str, ours: Pair) -> None:
    journal, lease = ours
    with connected(database) as connection:
        connection.execute(TAKEN_OVER)
    with pytest.raises(StaleEpochError):
        journal.append("r1", succeeded(), lease)
    assert len(journal.events("r1")) == 2


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read", "serializable"])
@pytest.mark.parametrize("asked_before", [False, True], ids=["in one go", "asked first"])
def test_an_epoch_that_went_on_while_another_writer_was_waited_for_is_seen(
    database: str, isolation: str, asked_before: bool
) -> None:
    """Whatever the server's owner has set: what a transaction sees there may be from before."""
    name = database.partition("?")[0].rpartition("/")[2]
    with connected(database) as other:
        default = f"ALTER DATABASE {name} SET default_transaction_isolation = '{isolation}'"
        other.execute(default.encode())
        with a_run(database, "r1", wait=120) as (journal, lease):
            if asked_before:
                journal.observe(())
            with ThreadPoolExecutor() as pool:
                with other.transaction():
                    key = key_of(database_of(journal).facts, "write")
                    other.execute("SELECT pg_advisory_xact_lock(%s::bigint)", (key,))
                    appended = pool.submit(journal.append, "r1", succeeded(), lease)
                    until(lambda: other.execute(WAITERS).fetchone() == (1,))
                    other.execute(TAKEN_OVER)
                assert isinstance(appended.exception(), StaleEpochError)
            assert len(journal.events("r1")) == 2


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ("UPDATE seals SET mac = 'none'", UntrustedJournalError),
        ("UPDATE seals SET digest = 'none'", UntrustedJournalError),
        ("UPDATE seals SET hash = 'none'", UntrustedJournalError),
        ("UPDATE seals SET seq = 1", UntrustedJournalError),
        ("DELETE FROM seals", UntrustedJournalError),
        ("UPDATE runs SET target = 'mail/dev'", JournalError),
        ("DELETE FROM leases", StaleEpochError),
    ],
)
def test_what_was_changed_meanwhile_is_seen_as_by_who_asks(
    database: str, ours: Pair, change: str, refusal: type[Exception]
) -> None:
    journal, lease = ours
    with connected(database) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(change.encode())
    with pytest.raises(refusal):
        journal.append("r1", succeeded(), lease)
    with connected(database) as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (2,)


def test_an_event_that_was_taken_away_meanwhile_is_not_followed(database: str, ours: Pair) -> None:
    journal, lease = ours
    with connected(database) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("DELETE FROM events WHERE seq = 2")
    with pytest.raises(JournalError):
        journal.append("r1", succeeded(), lease)


def test_who_is_refused_once_is_not_refused_for_ever(ours: Pair, another: Pair) -> None:
    """Also where what it wanted to add is refused for itself."""
    journal, lease = ours
    another[0].append("r2", succeeded(), another[1])
    draft = journal.draft("r1", 7, succeeded(), lease)
    for _ in range(2):
        with pytest.raises(JournalError, match="2 events"):
            journal.commit([draft], lease)
    assert journal.append("r1", succeeded(), lease).seq == 3


@pytest.mark.parametrize("asked_before", [False, True], ids=["in one go", "asked first"])
def test_who_waited_in_vain_for_another_writer_writes_when_that_is_gone(
    database: str, asked_before: bool
) -> None:
    """However often: what was sent behind the refusal counts as sent by nobody."""
    with a_run(database, "r1", wait=0.05) as (journal, lease):
        for _ in range(10):
            if asked_before:
                journal.observe(())
            with connected(database) as other, other.transaction():
                key = key_of(database_of(journal).facts, "write")
                other.execute("SELECT pg_advisory_xact_lock(%s::bigint)", (key,))
                with pytest.raises(UnavailableJournalError, match="another writer"):
                    journal.append("r1", succeeded(), lease)
            journal.append("r1", succeeded(), lease)
        assert journal.verify().ok
        assert len(journal.events("r1")) == 12
