"""The file itself refuses edits, and a guard that is gone is found."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from alma.errors import JournalError
from alma.journal import open_journal
from tests.journal.tampering import COLUMNS, verified
from tests.journal.tools import connection_of, content


@pytest.fixture(scope="module")
def suffix() -> str:
    """What is SQLite's own."""
    return ".db"


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TRIGGER events_no_update",
        "DROP TRIGGER leases_no_delete",
        "DROP TRIGGER events_in_order",
        "DROP VIEW steps",
        "DROP INDEX runs_by_target",
    ],
)
def test_a_dropped_guard_is_found(copy: Path, statement: str) -> None:
    """The rows may be right: without its guards the journal is not what was made."""
    connection = sqlite3.connect(copy)
    connection.execute(statement)
    connection.close()
    name = statement.rsplit(maxsplit=1)[-1]
    with pytest.raises(JournalError, match=f"{name} is missing from the schema"):
        verified(copy)


def test_a_guard_that_goes_while_it_is_open_is_found(copy: Path) -> None:
    with open_journal(copy, write=True) as journal:
        connection_of(journal).execute("DROP VIEW steps")
        assert "steps is missing from the schema" in str(journal.verify().first_break)


def test_what_sqlite_itself_adds_is_left_alone(copy: Path) -> None:
    """Statistics for its planner."""
    connection = sqlite3.connect(copy)
    connection.execute("ANALYZE")
    connection.close()
    assert verified(copy).ok


@pytest.mark.parametrize("table", ["events", "runs", "leases"])
@pytest.mark.parametrize(
    "statement",
    ["UPDATE {} SET run = run", "DELETE FROM {}", "INSERT OR REPLACE INTO {} SELECT * FROM {}"],
)
def test_rows_are_only_ever_added(copy: Path, table: str, statement: str) -> None:
    """The file refuses edits by whatever tool, REPLACE (which fires no DELETE) included."""
    connection = sqlite3.connect(copy)
    before = content(copy)
    with pytest.raises(sqlite3.IntegrityError, match="only ever added"):
        connection.execute(statement.format(table, table))
    connection.close()
    assert content(copy) == before


@pytest.mark.parametrize(
    ("table", "changes"),
    [
        ("events", {"position": 20, "seq": 3}),
        ("events", {"position": 9, "seq": 9}),
        ("runs", {"position": 20, "run": "'r9'"}),
        ("leases", {"number": 20, "target": "'x'", "epoch": 1}),
        ("leases", {"number": 5, "target": "'x'", "epoch": 2}),
    ],
)
def test_rows_are_only_added_at_the_end(copy: Path, table: str, changes: dict[str, object]) -> None:
    """A gap cannot be made, neither in the journal nor in a run nor in the epochs of a target."""
    columns = ", ".join(str(changes.get(name, name)) for name in COLUMNS[table])
    last = f"ORDER BY {COLUMNS[table][0]} DESC LIMIT 1"
    connection = sqlite3.connect(copy)
    with pytest.raises(sqlite3.IntegrityError, match="added at the end"):
        connection.execute(f"INSERT INTO {table} SELECT {columns} FROM {table} {last}")  # noqa: S608
    connection.close()
