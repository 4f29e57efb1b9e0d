"""A second store, in this process's memory: the journal's own behaviour must not depend on SQLite.

What was kept stays under its path, which ends in `.memory`, so that it can be opened again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from alma.errors import JournalError
from alma.journal import Journal
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
from alma.journal.store import Lock, Reader, Writer

T = TypeVar("T")
AllRows = tuple[
    list[EventRow],
    list[RunRow],
    list[LeaseRow],
    list[SealRow],
    list[DeliveryRow],
    list[ObservationRow],
]


class Kept:
    """Rows, and who has locked what."""

    def __init__(self) -> None:
        self.events: list[EventRow] = []
        self.runs: list[RunRow] = []
        self.leases: list[LeaseRow] = []
        self.seals: list[SealRow] = []
        self.deliveries: list[DeliveryRow] = []
        self.observations: list[ObservationRow] = []
        self.locked: set[str] = set()
        self.alone = threading.RLock()

    @property
    def all_rows(self) -> AllRows:
        own = self.events, self.runs, self.leases, self.seals, self.deliveries
        return *own, self.observations


KEPT: dict[Path, Kept] = {}


def open_in_memory(
    where: str | Path,
    *,
    write: bool,
    clock: Callable[[], datetime] = utc_now,
    wait: float | None = None,  # noqa: ARG001
) -> Journal:
    """As `alma.journal.open_journal` does."""
    return Journal(MemoryStore(Path(where).absolute(), write=write), clock)


class MemoryStore:
    """See `alma.journal.store.Store`."""

    def __init__(self, path: Path, *, write: bool) -> None:
        self.path, self.name, self.is_shared = path, str(path), False
        self.snapshots = None
        self._write = write
        self._closed = False
        if write:
            KEPT.setdefault(path, Kept())

    @property
    def _kept(self) -> Kept:
        if self._closed:
            raise JournalError("Cannot operate on a closed store.")
        return KEPT.get(self.path) or Kept()

    def read(self, what: str, work: Callable[[Reader], T]) -> T:  # noqa: ARG002
        kept = self._kept
        with kept.alone:
            return work(_Rows(*kept.all_rows))

    def write(self, what: str, work: Callable[[Writer], T]) -> T:  # noqa: ARG002
        kept = self._kept
        self._refuse_a_reader()
        with kept.alone:
            events, runs, leases, seals, deliveries, looks = kept.all_rows
            rows = _Rows([*events], [*runs], [*leases], [*seals], [*deliveries], [*looks])
            result = work(rows)
            kept.events, kept.runs, kept.leases, kept.seals = rows.all_rows[:4]
            kept.deliveries, kept.observations = rows.all_rows[4:]
        return result

    def lock(self, target: str) -> Lock | None:
        self._refuse_a_reader()
        kept = self._kept
        with kept.alone:
            if target in kept.locked:
                return None
            kept.locked.add(target)
        return _Lock(kept.locked, target)

    def is_locked(self, target: str) -> bool:
        return target in self._kept.locked

    def now(self) -> None:
        """See `alma.journal.store.Store`."""
        return

    def close(self) -> None:
        self._closed = True

    def _refuse_a_reader(self) -> None:
        if not self._write:
            raise JournalError(f"The journal {self.path} was opened for reading only.")


class _Lock:
    def __init__(self, locked: set[str], target: str) -> None:
        self.held = True
        self._locked, self._target = locked, target

    def release(self) -> None:
        if self.held:
            self.held = False
            self._locked.discard(self._target)


class _Rows:
    """Reader and Writer."""

    def __init__(
        self,
        events: list[EventRow],
        runs: list[RunRow],
        leases: list[LeaseRow],
        seals: list[SealRow],
        deliveries: list[DeliveryRow],
        observations: list[ObservationRow],
    ) -> None:
        self._events, self._runs, self._leases, self._seals = events, runs, leases, seals
        self._deliveries, self._observations = deliveries, observations

    @property
    def all_rows(self) -> AllRows:
        own = self._events, self._runs, self._leases, self._seals, self._deliveries
        return *own, self._observations

    def events(self, run: str, after: int = 0) -> list[EventRow]:
        return [row for row in self._events if row.run == run and row.seq > after]

    def all_events(self) -> Iterator[EventRow]:
        return iter(self._events)

    def last_event(self) -> EventRow | None:
        return self._events[-1] if self._events else None

    def place(self, run: str, target: str) -> Place:
        listed = self.run(run)
        lease, last = self.last_lease(target), self.last_event()
        return Place(
            target=listed.target if listed else None,
            epoch=lease.epoch if lease else 0,
            seq=len(self.events(run)),
            position=last.position if last else 0,
            hash=last.hash if last else "",
        )

    def runs(self, limit: int | None = None, target: str | None = None) -> list[RunRow]:
        found = [row for row in reversed(self._runs) if target in (None, row.target)]
        return found[:limit]

    def run(self, run: str) -> RunRow | None:
        return next((row for row in self._runs if row.run == run), None)

    def matching(self, prefix: str, limit: int) -> list[str]:
        return sorted(row.run for row in self._runs if row.run.startswith(prefix))[:limit]

    def leases(self) -> list[LeaseRow]:
        return self._leases

    def last_lease(self, target: str | None = None) -> LeaseRow | None:
        found = (row for row in reversed(self._leases) if target in (None, row.target))
        return next(found, None)

    def seals(self) -> list[SealRow]:
        return self._seals

    def seal(self, run: str) -> SealRow | None:
        return next((row for row in self._seals if row.run == run), None)

    def deliveries(self, run: str | None = None, *, still_open: bool = False) -> list[DeliveryRow]:
        found = [
            row
            for row in self._deliveries
            if run in (None, row.run) and not (still_open and row.state != "open")
        ]
        return sorted(found, key=lambda row: (row.due_at, row.run, row.seq))

    def observations(self, target: str | None = None) -> list[ObservationRow]:
        return sorted(row for row in self._observations if target in (None, row.target))

    def problem(self) -> str:
        return ""

    def add_run(self, row: RunRow) -> None:
        self._runs.append(row)

    def add_event(self, row: EventRow) -> None:
        self._events.append(row)

    def add_lease(self, row: LeaseRow) -> None:
        self._leases.append(row)

    def put_seal(self, row: SealRow) -> None:
        self._seals = [*(kept for kept in self._seals if kept.run != row.run), row]

    def put_delivery(self, row: DeliveryRow) -> None:
        self._deliveries = [*(kept for kept in self._deliveries if kept[:4] != row[:4]), row]

    def add_observation(self, row: ObservationRow) -> None:
        self._observations = [*self._observations, row]
