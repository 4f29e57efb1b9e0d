"""A journal on Postgres whose server falls silent: nothing waits for it without end."""

from __future__ import annotations

import psycopg
import pytest

from alma.errors import JournalError, StaleEpochError
from alma.journal import Journal, open_journal
from alma.journal.address import PostgresUrl
from alma.journal.journal import utc_now
from alma.journal.postgres.store import PostgresStore
from alma.pulumi.direct import _fetcher
from alma.system.postgres import BoundedConnection
from tests.journal.postgres import connected
from tests.journal.proxied import a_run, through, types
from tests.journal.tools import intended, succeeded
from tests.services.wire import Wire

pytestmark = pytest.mark.usefixtures("key")


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
