"""A journal's store in an SQLite file: the SQL behind `alma.journal.store.Store`."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TypeVar

from alma.errors import JournalError
from alma.journal.rows import (
    DeliveryRow,
    EventRow,
    LeaseRow,
    ObservationRow,
    Place,
    Row,
    RunRow,
    SealRow,
    UnreadableError,
    to_row,
)
from alma.journal.sqlite import files, schema
from alma.journal.sqlite.connection import SCHEMA, Database
from alma.journal.sqlite.problems import ERRORS, is_passing
from alma.journal.store import Lock, Reader, Writer
from alma.system.files import is_locked, make_directory, try_lock

T = TypeVar("T")

BUSY_SECONDS: Final = 5.0
"""How long a writer waits for another one: a commit takes well under a millisecond."""

# Names of our own, never a user's: no values are put into SQL as text anywhere.
_EVENTS: Final = f"SELECT {', '.join(EventRow._fields)} FROM events"
_LEASES: Final = f"SELECT {', '.join(LeaseRow._fields)} FROM leases"
_RUNS: Final = f"SELECT {', '.join(RunRow._fields)} FROM runs"
_ADD_EVENT: Final = f"INSERT INTO events VALUES ({', '.join('?' * len(EventRow._fields))})"
_ADD_LEASE: Final = f"INSERT INTO leases VALUES ({', '.join('?' * len(LeaseRow._fields))})"
_ADD_RUN: Final = f"INSERT INTO runs VALUES ({', '.join('?' * len(RunRow._fields))})"
_SEALS: Final = f"SELECT {', '.join(SealRow._fields)} FROM seals"
_PUT_SEAL: Final = f"INSERT OR REPLACE INTO seals VALUES ({', '.join('?' * len(SealRow._fields))})"
_DELIVERIES: Final = f"SELECT {', '.join(DeliveryRow._fields)} FROM deliveries"
_PUT_DELIVERY: Final = (
    f"INSERT OR REPLACE INTO deliveries VALUES ({', '.join('?' * len(DeliveryRow._fields))})"
)
_OBSERVATIONS: Final = f"SELECT {', '.join(ObservationRow._fields)} FROM observations"
_ADD_OBSERVATION: Final = (
    f"INSERT INTO observations VALUES ({', '.join('?' * len(ObservationRow._fields))})"
)
_PLACE: Final = """
SELECT (SELECT target FROM runs WHERE run = :run),
    (SELECT ifnull(max(epoch), 0) FROM leases WHERE target = :target),
    (SELECT ifnull(max(seq), 0) FROM events WHERE run = :run),
    (SELECT ifnull(max(position), 0) FROM events),
    ifnull((SELECT hash FROM events ORDER BY position DESC LIMIT 1), '')"""


class SqliteStore:
    """See `alma.journal.store.Store`."""

    def __init__(self, path: Path, *, write: bool, wait: float = BUSY_SECONDS) -> None:
        """Open the file; `wait` is how many seconds to wait for another writer.

        With `write` the file (0600) and its directory (0700) are made when missing. Without,
        nothing is ever written, and a missing file is read as one without runs.
        """
        self._database = Database(path.absolute(), write=write, wait=wait)

    @property
    def name(self) -> str:
        """See `Store`."""
        return str(self.path)

    @property
    def is_shared(self) -> bool:
        """See `Store`."""
        return False

    @property
    def snapshots(self) -> None:
        """See `Store`."""

    @property
    def path(self) -> Path:
        """The file, absolute."""
        return self._database.path

    def read(self, what: str, work: Callable[[Reader], T]) -> T:
        """See `Store`."""
        return self._database.read(what, lambda connection: work(_SqliteRows(connection)))

    def write(self, what: str, work: Callable[[Writer], T]) -> T:
        """See `Store`."""
        with self._database.transaction(what) as connection:
            return work(_SqliteRows(connection))

    def lock(self, target: str) -> Lock | None:
        """See `Store`; a lock file beside the journal."""
        if not self._database.write:
            raise JournalError(f"The journal {self.path} was opened for reading only.")
        path = lock_path(self.path, target)
        with files.explained("take the lease beside", self.path):
            make_directory(path.parent)
            return try_lock(path)

    def is_locked(self, target: str) -> bool:
        """See `Store`."""
        with files.explained("look at the leases beside", self.path):
            return is_locked(lock_path(self.path, target))

    def now(self) -> None:
        """See `Store`: a file has no clock."""
        return

    def close(self) -> None:
        """See `Store`."""
        self._database.close()


class _SqliteRows:
    """Reader and Writer over one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def events(self, run: str, after: int = 0) -> list[EventRow]:
        query = f"{_EVENTS} WHERE run = ? AND seq > ? ORDER BY seq"
        return [to_row(EventRow, row) for row in self._select(query, (run, after))]

    def all_events(self) -> Iterator[EventRow]:
        rows = self._select(f"{_EVENTS} ORDER BY position")
        return (to_row(EventRow, row) for row in rows)

    def last_event(self) -> EventRow | None:
        return self._first(EventRow, f"{_EVENTS} ORDER BY position DESC LIMIT 1")

    def place(self, run: str, target: str) -> Place:
        found = Place._make(next(self._select(_PLACE, {"run": run, "target": target})))
        if not type(found.epoch) is type(found.seq) is type(found.position) is int:
            raise UnreadableError("the file is damaged: a place in it is no number")
        return found

    def runs(self, limit: int | None = None, target: str | None = None) -> list[RunRow]:
        where, values = ("", ()) if target is None else ("WHERE target = ?", (target,))
        query = f"{_RUNS} {where} ORDER BY position DESC LIMIT ?"
        found = self._select(query, (*values, -1 if limit is None else limit))
        return [to_row(RunRow, row) for row in found]

    def run(self, run: str) -> RunRow | None:
        return self._first(RunRow, f"{_RUNS} WHERE run = ?", (run,))

    def matching(self, prefix: str, limit: int) -> list[str]:
        # char(1114111) is the last code point: no id with this prefix sorts behind it.
        query = "SELECT run FROM runs WHERE run >= :a AND run < :a || char(1114111) LIMIT :limit"
        return [run for (run,) in self._select(query, {"a": prefix, "limit": limit})]

    def leases(self) -> list[LeaseRow]:
        return [to_row(LeaseRow, row) for row in self._select(f"{_LEASES} ORDER BY number")]

    def last_lease(self, target: str | None = None) -> LeaseRow | None:
        query, values = f"{_LEASES} ORDER BY number DESC LIMIT 1", tuple[str, ...]()
        if target is not None:
            query = f"{_LEASES} WHERE target = ? ORDER BY epoch DESC LIMIT 1"
            values = (target,)
        return self._first(LeaseRow, query, values)

    def seals(self) -> list[SealRow]:
        found = self._select(_SEALS) if self._has(schema.SEALED_SINCE) else ()
        return [to_row(SealRow, row) for row in found]

    def seal(self, run: str) -> SealRow | None:
        if not self._has(schema.SEALED_SINCE):
            return None
        return self._first(SealRow, f"{_SEALS} WHERE run = ?", (run,))

    def deliveries(self, run: str | None = None, *, still_open: bool = False) -> list[DeliveryRow]:
        if not self._has(schema.NOTICED_SINCE):
            return []
        wheres = ["state = 'open'"] if still_open else []
        wheres += ["true"] if run is None else ["run = ?"]
        query = f"{_DELIVERIES} WHERE {' AND '.join(wheres)} ORDER BY due_at, run, seq"
        found = self._select(query, () if run is None else (run,))
        return [to_row(DeliveryRow, row) for row in found]

    def observations(self, target: str | None = None) -> list[ObservationRow]:
        if not self._has(schema.OBSERVED_SINCE):
            return []
        where, values = ("", ()) if target is None else ("WHERE target = ?", (target,))
        found = self._select(f"{_OBSERVATIONS} {where} ORDER BY look, step", values)
        return [to_row(ObservationRow, row) for row in found]

    def problem(self) -> str:
        """What is wrong with the schema, or what SQLite's own check finds."""
        ((version,),) = self._select("PRAGMA user_version")
        if problem := schema.problem(self._select(SCHEMA), version):
            return problem
        ((answer,),) = self._select("PRAGMA integrity_check(1)")
        return "" if answer == "ok" else f"the file is damaged: {answer}"

    def add_run(self, row: RunRow) -> None:
        self._connection.execute(_ADD_RUN, row)

    def add_event(self, row: EventRow) -> None:
        self._connection.execute(_ADD_EVENT, row)

    def add_lease(self, row: LeaseRow) -> None:
        self._connection.execute(_ADD_LEASE, row)

    def put_seal(self, row: SealRow) -> None:
        self._connection.execute(_PUT_SEAL, row)

    def put_delivery(self, row: DeliveryRow) -> None:
        self._connection.execute(_PUT_DELIVERY, row)

    def add_observation(self, row: ObservationRow) -> None:
        self._connection.execute(_ADD_OBSERVATION, row)

    def _has(self, since: int) -> bool:
        """What an older file has not; whoever only looks leaves it as it is."""
        ((version,),) = self._select("PRAGMA user_version")
        return bool(version >= since)

    def _first(self, kind: type[Row], query: str, values: Any = ()) -> Row | None:
        return next((to_row(kind, row) for row in self._select(query, values)), None)

    def _select(self, query: str, values: Any = ()) -> Iterator[Any]:
        try:
            # No `yield from`: that closes the cursor of who stops half way, perhaps after all else.
            for row in self._connection.execute(query, values):  # noqa: UP028
                yield row
        except ERRORS as error:
            if is_passing(error):
                raise
            raise UnreadableError(f"the file is damaged: {error}") from error


def lock_path(journal: Path, target: str) -> Path:
    """The lock file of a target: beside the journal, named by the target's SHA-256."""
    return journal.parent / "leases" / f"{sha256(target.encode()).hexdigest()}.lock"
