"""Fault points around a journal: a real SQLite file, opened through `Settings.open_journal`."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from alma.core.events import Recorded, RunCreated
from alma.journal.journal import Journal, utc_now
from alma.journal.lease import Lease
from alma.testing.faults import JournalFault, Life


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

    def __call__(self, path: Path, *, write: bool) -> Journal:
        """See `Journal.open`."""
        self.life.check()
        journal = _FaultyJournal.open(path, write=write, clock=self._now, wait=self.wait)
        journal.control = self
        return journal

    def _now(self) -> datetime:
        steps = (f.seconds for f in self.faults if f.effect == "clock" and f.nth <= self.appends)
        return self.clock() + timedelta(seconds=sum(steps))

    @contextmanager
    def around(self, journal: _FaultyJournal, count: int) -> Iterator[None]:
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
            journal.fail_as_on_a_full_disk()
        with journal.locked_by_another() if "locked" in effects else _nothing():
            yield
        if "crash_after" in effects:
            self.life.end()


class _FaultyJournal(Journal):
    control: JournalFaults

    def _add(
        self, drafts: Sequence[Recorded], lease: Lease, *, create: RunCreated | None = None
    ) -> list[Recorded]:
        with self.control.around(self, len(drafts)):
            return super()._add(drafts, lease, create=create)

    def fail_as_on_a_full_disk(self) -> None:
        """Fail inside a transaction, as SQLite does."""
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        with self._store.transaction("write an event"):
            raise error

    @contextmanager
    def locked_by_another(self) -> Iterator[None]:
        """Another connection writes and does not end."""
        with closing(sqlite3.connect(self.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield


@contextmanager
def _nothing() -> Iterator[None]:
    yield
