"""A journal's store on Postgres: see `alma.journal.store.Store`."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Final, TypeVar

from alma.errors import JournalError
from alma.journal.address import PostgresUrl
from alma.journal.postgres.connection import LOST_SECONDS, Database
from alma.journal.postgres.locks import HeldLock, is_taken
from alma.journal.postgres.session import server_time
from alma.journal.postgres.snapshots import SnapshotTable
from alma.journal.seals import state_directory
from alma.journal.store import Reader, Writer
from alma.system.postgres import ANSWER_SECONDS

T = TypeVar("T")

BUSY_SECONDS: Final = 5.0
"""How long a writer waits for another one: a commit takes a few milliseconds."""


class PostgresStore:
    """See `alma.journal.store.Store`."""

    def __init__(
        self,
        url: PostgresUrl,
        *,
        write: bool,
        wait: float = BUSY_SECONDS,
        lost: float = LOST_SECONDS,
        answer: float = ANSWER_SECONDS,
    ) -> None:
        """Connect; `wait` is how many seconds to wait for another writer.

        `lost` is how many a connection that was lost is tried to be had back, and `answer` how many
        the server may say nothing before it counts as lost. With `write` the
        tables are made when missing. Without, nothing is ever written, and where there are none
        it is a journal without runs.
        """
        self._database = Database(url, write=write, wait=wait, lost=lost, answer=answer)
        self._snapshots = SnapshotTable(self._database)
        self._path = _path(self._database.facts.identity)

    @property
    def name(self) -> str:
        """See `Store`."""
        return str(self._database.url)

    @property
    def is_shared(self) -> bool:
        """See `Store`."""
        return True

    @property
    def snapshots(self) -> SnapshotTable:
        """See `Store`."""
        return self._snapshots

    @property
    def path(self) -> Path:
        """See `Store`: in a directory of this user's own, for this journal alone."""
        return self._path

    def read(self, what: str, work: Callable[[Reader], T]) -> T:
        """See `Store`."""
        return self._database.read(what, work)

    def write(self, what: str, work: Callable[[Writer], T]) -> T:
        """See `Store`."""
        return self._database.transaction(what, work)

    def lock(self, target: str) -> HeldLock | None:
        """See `Store`; an advisory lock of this store's own session."""
        database = self._database
        if not database.write:
            raise JournalError(f"The journal {self.name} was opened for reading only.")
        return database.ask(
            f"take the lease on {target}",
            lambda connection, facts: database.locks.take(
                connection, facts, target, database.give_back
            ),
        )

    def is_locked(self, target: str) -> bool:
        """See `Store`."""
        return self._database.ask(
            "look at the leases", lambda connection, facts: is_taken(connection, facts, target)
        )

    def now(self) -> datetime:
        """See `Store`: the server's."""
        return self._database.ask("ask for the time", lambda connection, _: server_time(connection))

    def close(self) -> None:
        """See `Store`."""
        self._database.close()


def place_of(url: PostgresUrl) -> Path:
    """The `path` of the store at a URL, which is asked for it once in a process."""
    return _path(_identity(url))


@lru_cache
def _identity(url: PostgresUrl) -> str:
    database = Database(url, write=False, wait=BUSY_SECONDS)
    try:
        return database.facts.identity
    finally:
        database.close()


def _path(identity: str) -> Path:
    return state_directory(os.environ) / "journals" / identity[:32] / "journal"
