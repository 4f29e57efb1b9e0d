"""Of what cannot be read or written: whether trying again, elsewhere perhaps, is of any use."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg
import pytest

from alma.errors import (
    BrokenJournalError,
    JournalError,
    RunNotFoundError,
    UnavailableJournalError,
)
from alma.journal.address import PostgresUrl
from alma.journal.postgres.errors import translated, unreadable
from alma.journal.reading import load_run
from alma.journal.rows import UnreadableError
from tests.journal.tools import a_run, intended, open_at, tampered


def test_a_run_that_is_not_there_is_no_broken_one(path: Path) -> None:
    """Another journal may have it, which another worker has."""
    with a_run(path) as (journal, _), pytest.raises(RunNotFoundError):
        load_run(journal, "r2")


def test_a_closed_journal_is_no_broken_one(path: Path) -> None:
    with a_run(path) as (journal, _):
        pass
    with pytest.raises(JournalError) as closed:
        journal.events("r1")
    assert not isinstance(closed.value, BrokenJournalError)


def test_a_row_that_is_none_is_broken(path: Path) -> None:
    with a_run(path):
        pass
    tampered(path, "UPDATE events SET data = x'ff'")
    with open_at(path, write=False) as journal, pytest.raises(BrokenJournalError):
        journal.events("r1")


def test_a_writer_that_another_one_keeps_waiting_comes_again(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with a_run(path) as (journal, lease):
        journal._store._database._connection.execute("PRAGMA busy_timeout = 1")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UnavailableJournalError):
            journal.append("r1", intended(), lease)
        other.close()
        journal.append("r1", intended(), lease)


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("08006", UnavailableJournalError),
        ("25006", UnavailableJournalError),
        ("25P03", UnavailableJournalError),  # the server has ended a session that was idle
        ("40001", UnavailableJournalError),
        ("53300", UnavailableJournalError),
        ("57P03", UnavailableJournalError),
        ("42501", JournalError),
        ("XX000", JournalError),  # poolers: no connection is free
        ("XX001", BrokenJournalError),
        ("XX002", BrokenJournalError),
    ],
)
def test_what_a_server_says_is_of_a_kind(state: str, kind: type[JournalError]) -> None:
    """Said of a query or of what is written, it is the same."""
    error = psycopg.errors.lookup(state)("it failed")
    assert type(_translated(error)) is kind
    with pytest.raises((UnreadableError, psycopg.Error)) as read, unreadable():
        raise error
    assert type(_translated(read.value)) is kind


def test_a_value_that_a_server_cannot_give_is_broken() -> None:
    with pytest.raises(UnreadableError) as read, unreadable():
        raise psycopg.errors.lookup("22P02")("it is no number")
    assert type(_translated(read.value)) is BrokenJournalError


def _translated(error: Exception) -> JournalError:
    url = PostgresUrl("postgresql://alma@host/alma")
    return translated("read run r1", url, error, wait=5, secret="")
