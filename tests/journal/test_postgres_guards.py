"""Postgres itself refuses edits, whoever asks; what was edited or changed all the same is found."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from alma.errors import JournalError
from alma.journal import open_journal
from tests.journal.postgres import connected
from tests.journal.tools import created, intended

pytestmark = pytest.mark.usefixtures("key")

WRITE = "INSERT INTO {table} SELECT * FROM {table} LIMIT 1"


@pytest.mark.parametrize("table", ["alma_journal", "runs", "events", "leases"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {table} SET {column} = {column}",
        "DELETE FROM {table}",
        "TRUNCATE {table} CASCADE",
        f"{WRITE} ON CONFLICT ({{column}}) DO UPDATE SET {{column}} = 7",
    ],
)
def test_rows_are_only_ever_added_whoever_asks(journal: str, table: str, statement: str) -> None:
    """A superuser too, unless he takes the guards away."""
    column = {"alma_journal": "version", "leases": "number"}.get(table, "position")
    with connected(journal) as connection:
        before = connection.execute(f"TABLE {table}".encode()).fetchall()
        with pytest.raises(psycopg.errors.RaiseException, match="only ever added"):
            connection.execute(statement.format(table=table, column=column).encode())
        assert connection.execute(f"TABLE {table}".encode()).fetchall() == before


def test_a_seal_is_replaced_and_not_removed(journal: str) -> None:
    with connected(journal) as connection:
        connection.execute("UPDATE seals SET mac = mac")
        with pytest.raises(psycopg.errors.RaiseException, match="only ever added"):
            connection.execute("DELETE FROM seals")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("ALTER TABLE events DISABLE TRIGGER events_kept", "events_kept was changed"),
        ("DROP TRIGGER runs_in_order ON runs", "runs_in_order is missing"),
        (
            "CREATE TRIGGER mine BEFORE INSERT ON seals EXECUTE FUNCTION rows_are_kept()",
            "mine in its schema is not alma's",
        ),
        (
            "ALTER FUNCTION rows_are_kept() SECURITY DEFINER",
            "rows_are_kept was changed",
        ),
        ("CREATE RULE lost AS ON INSERT TO events DO INSTEAD NOTHING", "events was changed"),
        ("ALTER TABLE runs ENABLE ROW LEVEL SECURITY", "runs was changed"),
        ("DROP VIEW leftovers", "leftovers is missing"),
        ("DROP TABLE leases", "leases is missing"),
    ],
)
def test_a_changed_schema_is_named_and_not_acted_on(journal: str, change: str, words: str) -> None:
    with connected(journal) as connection:
        connection.execute(change.encode())
    for write in (False, True):
        with pytest.raises(JournalError, match=words):
            open_journal(journal, write=write)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE events SET data = replace(data, 'up', 'no') WHERE position = 2", "was edited"),
        ("UPDATE events SET at = at || ' ' WHERE position = 1", "was edited"),
        ("DELETE FROM events WHERE position = 1", "position 1 before it: missing"),
        ("DELETE FROM events WHERE position = 2", "of its 2 events 1 are missing"),
        ("UPDATE leases SET host = 'elsewhere'", "was edited"),
        ("UPDATE runs SET kind = 'destroy'", "list of runs was edited"),
        ("DELETE FROM leases", "no lease on shop/dev with epoch 1"),
    ],
)
def test_what_somebody_did_whom_no_guard_stops_is_found(
    journal: str, change: str, words: str
) -> None:
    with connected(journal) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(change.encode())
    with open_journal(journal, write=False) as reader:
        assert words in str(reader.verify().first_break)


RIGHTS = """
CREATE ROLE {role} LOGIN PASSWORD 'right';
GRANT USAGE ON SCHEMA public TO {role};
GRANT SELECT, INSERT ON runs, events, leases, observations, alma_journal TO {role};
GRANT SELECT, INSERT, UPDATE ON seals, deliveries TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON snapshots TO {role};
GRANT SELECT ON history, run_states, operations, steps, leftovers TO {role};
"""
"""As docs/teams.md has them."""


def test_a_role_with_the_rights_that_are_documented_runs_and_cannot_do_more(database: str) -> None:
    """The owner has made the tables."""
    role = f"runner_{uuid4().hex[:8]}"
    open_journal(database, write=True).close()
    documented = (Path(__file__).parents[2] / "docs" / "teams.md").read_text()
    for line in RIGHTS.strip().splitlines():
        assert line.format(role="alma_runner").replace("'right'", "'...'") in documented
    try:
        with connected(database) as connection:
            connection.execute(RIGHTS.format(role=role).encode())
        limited = database.replace("pulumi:pw@", f"{role}:right@")
        with (
            open_journal(limited, write=True) as journal,
            journal.acquire("shop/dev", "r1") as lease,
        ):
            journal.create_run("r1", created(), lease)
            journal.append("r1", intended(), lease)
            assert journal.snapshots is not None
            journal.snapshots.put("a" * 64, b"content")
            journal.snapshots.need("a" * 64)
            assert journal.snapshots.digests() == {"a" * 64}
            journal.snapshots.remove("a" * 64)
            assert journal.verify().ok
        for statement in (
            "UPDATE events SET seq = 7",
            "DELETE FROM leases",
            "TRUNCATE runs",
            "ALTER TABLE events DISABLE TRIGGER ALL",
            "DROP TABLE events",
            "DELETE FROM seals",
        ):
            with (
                connected(limited) as connection,
                pytest.raises(
                    (psycopg.errors.InsufficientPrivilege, psycopg.errors.RaiseException)
                ),
            ):
                connection.execute(statement.encode())
    finally:
        with connected(database) as connection:
            connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())
