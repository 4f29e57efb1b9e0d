"""The journal: every event of every run, kept before what it announces."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

from alma.errors import JournalError
from alma.journal.address import PostgresUrl, address_of
from alma.journal.journal import Journal, utc_now
from alma.journal.store import Store

__all__ = ["Journal", "kept_beside", "open_journal", "open_store"]


def open_journal(
    where: str | Path | PostgresUrl,
    *,
    write: bool,
    clock: Callable[[], datetime] = utc_now,
    wait: float | None = None,
) -> Journal:
    """Open the journal in an SQLite file, or at a `postgresql:` URL.

    `wait` is how many seconds to wait for another writer. With `write` it is made when missing.
    Without, nothing is ever written, and where there is none it is one without runs.
    """
    journal = Journal(open_store(where, write=write, wait=wait), clock)
    if write:
        try:
            journal.require_key()
        except BaseException:
            journal.close()
            raise
    return journal


def open_store(where: str | Path | PostgresUrl, *, write: bool, wait: float | None = None) -> Store:
    """What a journal there stands on."""
    address = address_of(where)
    # Not with the package: whoever only defines a saga needs no database.
    if isinstance(address, PostgresUrl):
        _require_psycopg()
        from alma.journal.postgres import store as postgres

        seconds = postgres.BUSY_SECONDS if wait is None else wait
        return postgres.PostgresStore(address, write=write, wait=seconds)
    from alma.journal.sqlite import store as sqlite

    seconds = sqlite.BUSY_SECONDS if wait is None else wait
    return sqlite.SqliteStore(address, write=write, wait=seconds)


def kept_beside(where: str | Path | PostgresUrl) -> Path:
    """The path beside which things are kept, of a journal that need not be there: `Store.path`."""
    address = address_of(where)
    if isinstance(address, Path):
        return address
    _require_psycopg()
    from alma.journal.postgres.store import place_of

    return place_of(address)


def _require_psycopg() -> None:
    if find_spec("psycopg") is None:
        raise JournalError(
            "A journal on Postgres needs psycopg, which is not installed here.",
            hint="pip install 'alma-pulumi[postgres]'",
        )
