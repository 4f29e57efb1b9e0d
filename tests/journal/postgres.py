"""Journals on Postgres for tests that name a journal by a path: a schema for each.

`within` says in which database they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg.conninfo import make_conninfo

from alma.journal import open_journal
from alma.journal.rows import DeliveryRow, EventRow, LeaseRow, ObservationRow, RunRow, SealRow

POSTGRES: Final = ".postgres"
# In the order in which they can be filled: an event is of a run.
_TABLES: Final[dict[str, Any]] = {
    "runs": RunRow,
    "events": EventRow,
    "leases": LeaseRow,
    "seals": SealRow,
    "deliveries": DeliveryRow,
    "observations": ObservationRow,
}
_DATABASES: list[str] = []

Rows = tuple[
    Sequence[Any], Sequence[Any], Sequence[Any], Sequence[Any], Sequence[Any], Sequence[Any]
]


@contextmanager
def within(url: str) -> Iterator[None]:
    """Have all journals in the database at this URL."""
    _DATABASES.append(url)
    try:
        yield
    finally:
        _DATABASES.remove(url)


def url_of(path: Path) -> str:
    """The URL of a journal, whose schema is made when missing."""
    url, name = _DATABASES[-1], _schema(path)
    with connected(url) as connection:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {name}".encode())
    return f"{url}&options=-csearch_path%3D{name}"


def connected(url: str, **options: str) -> psycopg.Connection:
    """A connection that alma knows nothing of; a context manager."""
    return psycopg.connect(make_conninfo(url, **options), autocommit=True)


def all_rows(path: Path) -> Rows:
    """Of the tables, as the other stores have them: events, runs, leases, ..."""
    with connected(url_of(path)) as connection:
        runs, events, leases, seals, deliveries, looks = (
            [*map(kind._make, connection.execute(f"TABLE {table} ORDER BY 1".encode()))]
            for table, kind in _TABLES.items()
        )
    return events, runs, leases, seals, deliveries, looks


def put_rows(path: Path, rows: Rows) -> None:
    """Have these in place of what was there, as somebody does whom no guard can stop."""
    url = url_of(path)
    open_journal(url, write=True).close()
    events, runs, leases, seals, deliveries, looks = rows
    with connected(url) as connection, connection.transaction():
        connection.execute("SET session_replication_role = replica")
        connection.execute("TRUNCATE runs, events, leases, seals, deliveries, observations")
        for (table, kind), found in zip(
            _TABLES.items(), (runs, events, leases, seals, deliveries, looks), strict=True
        ):
            marks = ", ".join(["%s"] * len(kind._fields))
            with connection.cursor() as cursor:
                cursor.executemany(f"INSERT INTO {table} VALUES ({marks})".encode(), found)  # noqa: S608


def forget(path: Path) -> None:
    """No journal is there any more."""
    with connected(_DATABASES[-1]) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {_schema(path)} CASCADE".encode())


def _schema(path: Path) -> str:
    return f"j{sha256(str(path).encode()).hexdigest()[:16]}"
