"""Which store a case's journal is in: a file, or a schema of its own on a server.

`ALMA_FAULTS_STORE` is the URL of a server's database: then all cases are on that server.
"""

from __future__ import annotations

import argparse
import atexit
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg

from alma.journal.address import Address, PostgresUrl
from alma.journal.encryption import KEY, new_key
from tests.services.postgres import running

VARIABLE: Final = "ALMA_FAULTS_STORE"

_NEW: Final = """
SELECT run, epoch, type, seq, step, data FROM events WHERE position > {mark} ORDER BY position"""
_LOSE: Final = """
SELECT pg_terminate_backend(pid) FROM pg_locks
WHERE locktype = 'advisory' AND pid <> pg_backend_pid()
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""


_OPEN: Final[list[psycopg.Connection]] = []


def add_option(parser: argparse.ArgumentParser) -> None:
    """`--store postgres`, for what runs a volume."""
    parser.add_argument(
        "--store", choices=["sqlite", "postgres"], default="sqlite", help="of the runs' journals"
    )


@contextmanager
def chosen(store: str) -> Iterator[None]:
    """Have all journals there, on a server of our own where none is named."""
    if store == "sqlite" or os.environ.get(VARIABLE):
        yield
        return
    with (
        tempfile.TemporaryDirectory(prefix="alma-faults-") as directory,
        running(Path(directory)) as server,
    ):
        os.environ[VARIABLE] = server.url
        try:
            yield
        finally:
            close()
            del os.environ[VARIABLE]


@contextmanager
def place(journal: Path) -> Iterator[Address]:
    """Where a case's journal is."""
    server = os.environ.get(VARIABLE)
    if not server:
        yield journal
        return
    url = _own(server)
    if KEY not in os.environ:
        os.environ[KEY] = new_key()
    name = f"case_{uuid4().hex[:12]}"
    _asked(url).execute(f"CREATE SCHEMA {name}".encode())
    try:
        yield PostgresUrl(f"{url}&options=-csearch_path%3D{name}")
    finally:
        _asked(url).execute(f"DROP SCHEMA {name} CASCADE".encode())


def events_after(where: Address, position: int) -> Sequence[tuple[Any, ...]]:
    """What is durable, read past alma."""
    if isinstance(where, PostgresUrl):
        schema = where.whole.rpartition("%3D")[2]
        query = _NEW.format(mark="%s").replace("FROM events", f"FROM {schema}.events")
        url = where.whole.partition("&options=")[0]
        try:
            return _asked(url).execute(query.encode(), (position,)).fetchall()
        except psycopg.errors.UndefinedTable:
            return ()
    with closing(sqlite3.connect(f"{where.as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(_NEW.format(mark="?"), (position,)).fetchall()


def lose_locks(where: Address) -> None:
    """The runner's lock is lost, as by a network drive or a cut connection."""
    if isinstance(where, PostgresUrl):
        with closing(psycopg.connect(where.whole, autocommit=True)) as connection:
            connection.execute(_LOSE.encode())
        return
    for lock in (where.parent / "leases").iterdir():
        lock.unlink()


@cache
def _own(server: str) -> str:
    """A database of this process: whose locks are lost is then nobody else's."""
    name = f"model_{uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    parts = urlsplit(server)
    return urlunsplit(parts._replace(path=f"/{name}"))


@cache
def _asked(url: str) -> psycopg.Connection:
    """One for all cases of the process."""
    _OPEN.append(psycopg.connect(url, autocommit=True))
    return _OPEN[-1]


@atexit.register
def close() -> None:
    """Be done with the server."""
    for connection in _OPEN:
        connection.close()
    _OPEN.clear()
    _asked.cache_clear()
    _own.cache_clear()
