"""The table of deliveries: as its rows are put, in every store, and in a journal older than it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from alma.errors import JournalError
from alma.journal import Journal, open_journal
from alma.journal.encryption import KEY, new_key
from alma.journal.postgres import schema as postgres_schema
from alma.journal.rows import DeliveryRow
from alma.journal.sqlite import schema
from alma.journal.sqlite.connection import SCHEMA
from alma.journal.store import Writer
from alma.runner.copying import copy_journal
from tests.journal.postgres import connected
from tests.journal.tools import a_run, created, fill, open_at


def row(seq: int = 1, state: str = "open", run: str = "r1") -> DeliveryRow:
    due = f"2026-01-31T14:25:{10 + seq}.000000+00:00"
    return DeliveryRow(run, seq, "ops", "failed", due, state, 0, "", due, "")


def deliveries(
    path: Path, run: str | None = None, *, still_open: bool = False
) -> list[DeliveryRow]:
    with open_at(path, write=False) as journal:
        return journal._store.read("", lambda rows: rows.deliveries(run, still_open=still_open))


def put(journal: Journal, *rows: DeliveryRow) -> None:
    def work(writer: Writer) -> None:
        for each in rows:
            writer.put_delivery(each)

    journal._store.write("put", work)


def test_a_row_takes_the_place_of_the_one_before(path: Path) -> None:
    fill(path)
    with open_at(path, write=True) as journal:
        put(journal, row(2), row(1), row(3, run="r2"), row(2, "delivered"))
    assert deliveries(path) == [row(1), row(2, "delivered"), row(3, run="r2")]
    assert deliveries(path, "r1") == [row(1), row(2, "delivered")]
    assert deliveries(path, still_open=True) == [row(1), row(3, run="r2")]
    assert deliveries(path, "r1", still_open=True) == [row(1)]
    with open_at(path, write=False) as journal:
        assert journal.verify().ok


@pytest.fixture
def old_file(tmp_path: Path) -> Path:
    """A journal as version 3 of the schema has it."""
    path = tmp_path / "journal.db"
    fill(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DROP TABLE deliveries")
        connection.execute("DROP TABLE observations")
        later = "DELETE FROM _sqlite_migrations WHERE name IN ('version_4', 'version_5')"
        connection.execute(later)
        connection.execute("PRAGMA user_version = 3")
        found = connection.execute(SCHEMA).fetchall()
        assert schema.problem(found, 3) == ""
    return path


def test_a_file_from_before_is_read_as_it_is_and_gets_the_table_from_who_writes(
    old_file: Path,
) -> None:
    before = old_file.read_bytes()
    assert deliveries(old_file) == []
    assert old_file.read_bytes() == before
    with a_run(old_file, run="r9", saga="wiki") as (journal, _):
        put(journal, row())
        assert journal.verify().ok
    assert deliveries(old_file) == [row()]
    with closing(sqlite3.connect(old_file)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)


@pytest.fixture
def old_server(database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A journal with a run, as version 1 of the schema has it on Postgres."""
    monkeypatch.setenv(KEY, new_key())
    with open_journal(database, write=True) as journal, journal.acquire("a/dev", "r1") as lease:
        journal.create_run("r1", created("a"), lease)
    with connected(database) as connection:
        connection.execute("DROP TABLE deliveries")
        connection.execute("DROP TABLE observations")
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE alma_journal SET version = 1")
    return database


def test_a_journal_on_a_server_from_before_does_likewise(old_server: str) -> None:
    with open_journal(old_server, write=False) as journal:
        assert journal._store.read("", lambda rows: rows.deliveries()) == []
        assert journal.verify().ok
    with connected(old_server) as connection:
        assert connection.execute("SELECT max(version) FROM alma_journal").fetchone() == (1,)
    with open_journal(old_server, write=True) as journal:
        put(journal, row())
        assert journal._store.read("", lambda rows: rows.deliveries()) == [row()]
        assert journal.act().verify().ok
    with connected(old_server) as connection:
        newest = connection.execute("SELECT max(version) FROM alma_journal").fetchone()
        assert newest == (postgres_schema.VERSION,)
        connection.execute("DROP TRIGGER deliveries_kept ON deliveries")
    with pytest.raises(JournalError, match="deliveries_kept is missing from the schema"):
        open_journal(old_server, write=False)


def test_a_copy_takes_them_along_and_a_later_one_what_has_ended_since(tmp_path: Path) -> None:
    source, target = tmp_path / "a" / "journal.db", tmp_path / "b" / "journal.db"
    fill(source)
    with open_at(source, write=True) as journal:
        put(journal, row(1), row(2))
        copy_journal(source, target)
        assert deliveries(target) == [row(1), row(2)]
        put(journal, row(2, "delivered"))
    with open_at(target, write=True) as journal:
        put(journal, row(1, "delivered"))
    copy_journal(source, target)
    assert deliveries(target) == [row(1, "delivered"), row(2, "delivered")]
