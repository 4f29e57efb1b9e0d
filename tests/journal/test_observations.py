"""The table of observations: only ever added to, copied along, and made in what is older."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from alma.errors import JournalError
from alma.journal.rows import ObservationRow
from alma.journal.sqlite import schema
from alma.journal.sqlite.connection import SCHEMA
from alma.runner.copying import copy_journal
from tests.journal.tools import a_run, fill, open_at


def row(look: str, step: str = "a", target: str = "shop/dev") -> ObservationRow:
    at = "2026-01-31T14:25:10.000000+00:00"
    return ObservationRow(look, step, at, target, "r1", "me@here", "drifted", "{}")


def test_they_come_in_the_order_of_the_looks(path: Path) -> None:
    fill(path)
    with open_at(path, write=True) as journal:
        journal.observe([row("2", "b"), row("2", "a")])
        journal.observe([row("1"), row("3", target="wiki/dev")])
        assert journal.observations() == [
            row("1"),
            row("2", "a"),
            row("2", "b"),
            row("3", target="wiki/dev"),
        ]
        assert journal.observations("wiki/dev") == [row("3", target="wiki/dev")]
        assert journal.verify().ok


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE observations SET verdict = 'none'",
        "DELETE FROM observations",
        "INSERT OR REPLACE INTO observations SELECT * FROM observations",
    ],
    ids=["update", "delete", "replace"],
)
def test_no_row_is_changed(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "journal.db"
    with open_at(path, write=True) as journal:
        journal.observe([row("1")])
    with (
        closing(sqlite3.connect(path)) as connection,
        pytest.raises(sqlite3.IntegrityError, match="only ever added"),
    ):
        connection.execute(statement)


def test_a_file_from_before_gets_the_table_from_who_writes(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    fill(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DROP TABLE observations")
        connection.execute("DELETE FROM _sqlite_migrations WHERE name = 'version_5'")
        connection.execute("PRAGMA user_version = 4")
        assert schema.problem(connection.execute(SCHEMA).fetchall(), 4) == ""
    with open_at(path, write=False) as journal:
        assert journal.observations() == []
    with a_run(path, run="r9", saga="wiki") as (journal, _):
        journal.observe([row("1")])
        assert journal.verify().ok
    with open_at(path, write=False) as journal:
        assert journal.observations() == [row("1")]


def test_a_copy_takes_along_what_is_not_there_yet(tmp_path: Path) -> None:
    source, target = tmp_path / "a" / "journal.db", tmp_path / "b" / "journal.db"
    fill(source)
    with open_at(source, write=True) as journal:
        journal.observe([row("1")])
        copy_journal(source, target)
        journal.observe([row("2")])
    copy_journal(source, target)
    with open_at(target, write=False) as journal:
        assert journal.observations() == [row("1"), row("2")]


def test_what_was_seen_is_added_once(path: Path) -> None:
    if path.suffix == ".memory":
        pytest.skip("a stand-in that guards nothing")
    fill(path)
    with open_at(path, write=True) as journal:
        journal.observe([row("1")])
        with pytest.raises(JournalError):
            journal.observe([row("1")])
