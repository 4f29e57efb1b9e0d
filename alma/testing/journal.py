"""Fault points around a journal, opened through `Settings.open_journal`: a file or a server."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from alma.errors import AlmaError
from alma.journal import Journal, open_store
from alma.journal.address import PostgresUrl
from alma.journal.journal import utc_now
from alma.journal.rows import (
    DeliveryRow,
    EventRow,
    LeaseRow,
    ObservationRow,
    Place,
    RunRow,
    SealRow,
)
from alma.journal.snapshots import SnapshotRows
from alma.journal.store import Lock, Reader, Store, Writer
from alma.testing.faults import JournalFault, Life

T = TypeVar("T")


@dataclass
class JournalFaults:
    """Opens journals that fail as told: `Settings(open_journal=JournalFaults([...]))`.

    `before` are calls to make right before the nth event is committed, for anything else that
    may happen at that moment (a signal, a second runner). Events that share a commit share what
    goes wrong with it. `appends` counts events, on over all journals opened.
    """

    faults: Sequence[JournalFault] = ()
    life: Life = field(default_factory=Life)
    before: Mapping[int, Callable[[], None]] = field(default_factory=dict)
    clock: Callable[[], datetime] = utc_now
    wait: float = 0.01
    """Seconds that a writer waits for another one."""
    appends: int = 0

    def __call__(self, where: str | Path | PostgresUrl, /, *, write: bool) -> Journal:
        """See `alma.journal.open_journal`."""
        self.life.check()
        store = open_store(where, write=write, wait=self.wait)
        return Journal(FaultyStore(store, self, where), self._now)

    def _now(self) -> datetime:
        steps = (f.seconds for f in self.faults if f.effect == "clock" and f.nth <= self.appends)
        return self.clock() + timedelta(seconds=sum(steps))

    @contextmanager
    def around(self, store: FaultyStore, count: int) -> Iterator[None]:
        """One commit of so many events: what goes wrong before it, and after it."""
        self.life.check()
        events = range(self.appends + 1, self.appends + count + 1)
        self.appends += count
        for nth in events:
            self.before.get(nth, lambda: None)()
        effects = {fault.effect for fault in self.faults if fault.nth in events}
        if "crash_before" in effects:
            self.life.end()
        if any(fault.effect == "full" and fault.nth <= self.appends for fault in self.faults):
            store.fail_as_on_a_full_disk()
        with store.locked_by_another() if "locked" in effects else _nothing():
            yield
        if "crash_after" in effects:
            self.life.end()


class FaultyStore:
    """A store around another one: what it adds goes wrong as the faults say."""

    def __init__(
        self, store: Store, faults: JournalFaults, where: str | Path | PostgresUrl
    ) -> None:
        self._store, self._where = store, where
        self._faults = faults

    @property
    def name(self) -> str:
        """See `Store`."""
        return self._store.name

    @property
    def is_shared(self) -> bool:
        """See `Store`."""
        return self._store.is_shared

    @property
    def snapshots(self) -> SnapshotRows | None:
        """See `Store`."""
        return self._store.snapshots

    @property
    def path(self) -> Path:
        """See `Store`."""
        return self._store.path

    def read(self, what: str, work: Callable[[Reader], T]) -> T:
        """See `Store`."""
        return self._store.read(what, work)

    def write(self, what: str, work: Callable[[Writer], T]) -> T:
        """See `Store`. How many events it will add is found out first, on a view."""
        count = self._store.read(what, lambda reader: _events_added(reader, work))
        if not count:
            return self._store.write(what, work)
        with self._faults.around(self, count):
            return self._store.write(what, work)

    def lock(self, target: str) -> Lock | None:
        """See `Store`."""
        return self._store.lock(target)

    def is_locked(self, target: str) -> bool:
        """See `Store`."""
        return self._store.is_locked(target)

    def now(self) -> datetime | None:
        """See `Store`."""
        return self._store.now()

    def close(self) -> None:
        """See `Store`."""
        self._store.close()

    def fail_as_on_a_full_disk(self) -> None:
        """Fail inside a transaction, as SQLite or Postgres does."""

        def full(_: Writer) -> None:
            if self.is_shared:
                from psycopg.errors import DiskFull

                raise DiskFull("No space left on device")
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error

        self._store.write("write an event", full)

    @contextmanager
    def locked_by_another(self) -> Iterator[None]:
        """Another connection writes and does not end."""
        begun, enough = threading.Event(), threading.Event()

        def hold(writer: Writer) -> None:
            writer.last_lease()
            begun.set()
            enough.wait()

        with closing(open_store(self._where, write=True)) as other:
            holding = threading.Thread(target=other.write, args=("write at length", hold))
            holding.start()
            begun.wait()
            try:
                yield
            finally:
                enough.set()
                holding.join()


class _Counting:
    """A Writer that adds nothing, and counts the events."""

    def __init__(self, reader: Reader) -> None:
        self.events_added = 0
        self._reader = reader

    def place(self, run: str, target: str) -> Place:
        return self._reader.place(run, target)

    def last_lease(self, target: str | None = None) -> LeaseRow | None:
        return self._reader.last_lease(target)

    def seal(self, run: str) -> SealRow | None:
        return self._reader.seal(run)

    def all_events(self) -> Iterator[EventRow]:
        return self._reader.all_events()

    def deliveries(self, run: str | None = None, *, still_open: bool = False) -> list[DeliveryRow]:
        return self._reader.deliveries(run, still_open=still_open)

    def observations(self, target: str | None = None) -> list[ObservationRow]:
        return self._reader.observations(target)

    def add_run(self, row: RunRow) -> None:
        pass

    def add_event(self, row: EventRow) -> None:  # noqa: ARG002
        self.events_added += 1

    def add_lease(self, row: LeaseRow) -> None:
        pass

    def put_seal(self, row: SealRow) -> None:
        pass

    def put_delivery(self, row: DeliveryRow) -> None:
        pass

    def add_observation(self, row: ObservationRow) -> None:
        pass


def _events_added(reader: Reader, work: Callable[[Writer], object]) -> int:
    """How many the work adds; those until it is refused, where it is."""
    counting = _Counting(reader)
    with suppress(AlmaError):
        work(counting)
    return counting.events_added


@contextmanager
def _nothing() -> Iterator[None]:
    yield
