"""The journal: an SQLite file of events that are only ever added. Nobody else knows SQLite.

(The modules `alma._journal_*` are its private parts.) Nothing about the chain is kept in memory:
the place of the next event is read inside the transaction that adds it. So a failed commit
changes nothing, and several processes may write at once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from alma.core.events import Event, Process, Recorded, RunCreated
from alma.errors import JournalError, RunNotFoundError, StaleEpochError
from alma.journal import rows
from alma.journal import verify as _journal_verify
from alma.journal.chain import Break, EventRow, Head, RunRow, link
from alma.journal.lease import Holder, Lease, current_process
from alma.journal.sqlite import leases as _journal_leases
from alma.journal.sqlite.connection import Store
from alma.journal.sqlite.schema import LAST
from alma.journal.verify import Verdict

__all__ = ["Break", "Head", "Holder", "Journal", "Lease", "RunRow", "Verdict"]

BUSY_SECONDS: Final = 5.0
"""How long a writer waits for another one: a commit takes well under a millisecond."""

SHOWN: Final = 5
"""How many ids a RunNotFoundError names."""


def utc_now() -> datetime:
    """The clock that is injected everywhere: aware, UTC."""
    return datetime.now(UTC)


class Journal:
    """One journal file. Safe to share between threads; a context manager.

    Every method raises JournalError when the file cannot be read, written or trusted.
    """

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        write: bool,
        clock: Callable[[], datetime] = utc_now,
        wait: float = BUSY_SECONDS,
    ) -> Self:
        """Open it; `wait` is how many seconds to wait for another writer.

        With `write` the file (0600) and its directory (0700) are made when missing. Without,
        nothing is ever written, and a missing file is read as one without runs.
        """
        return cls(Store(path.absolute(), write=write, wait=wait), clock)

    @property
    def path(self) -> Path:
        """The file, absolute."""
        return self._store.path

    def close(self) -> None:
        """Close it; the second time does nothing."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # -- leases: see alma.journal.sqlite.leases ----------------------------------------------------

    def acquire(
        self, target: str, run: str, *, actor: str = "", process: Process | None = None
    ) -> Lease:
        """Take the lease on a target (`saga/stack`) for this run, which need not exist yet.

        Raises RunnerBusyError, naming the holder, while somebody has it.
        """
        return _journal_leases.acquire(
            self._store, target, run, actor, process or current_process(), self._clock()
        )

    def latest_epoch(self, target: str) -> int:
        """The epoch of the last lease on a target; 0 before the first."""
        return _journal_leases.latest_epoch(self._store, target)

    def holder(self, target: str) -> Holder | None:
        """The last lease on a target, live or not; None when there never was one."""
        return _journal_leases.holder(self._store, target)

    def is_held(self, target: str) -> bool:
        """Whether a live runner holds the lease on a target. Writes nothing."""
        return _journal_leases.is_held(self._store, target)

    # -- adding events -----------------------------------------------------------------------

    def create_run(self, run: str, event: RunCreated, lease: Lease) -> Recorded:
        """List a new run together with its first event."""
        return self._add([self.draft(run, 1, event, lease)], lease, create=event)[0]

    def append(self, run: str, event: Event, lease: Lease) -> Recorded:
        """Add one event, durably: when this returns, it is on disk. Raises as `commit` does."""
        return self._add([self.draft(run, 0, event, lease)], lease)[0]

    def draft(self, run: str, seq: int, event: Event, lease: Lease) -> Recorded:
        """What `commit` will write: not in the journal yet, and without a hash.

        A `seq` of 0 is whichever comes next.
        """
        return Recorded(run=run, seq=seq, at=self._clock(), epoch=lease.epoch, event=event)

    def commit(self, drafts: Sequence[Recorded], lease: Lease) -> list[Recorded]:
        """Add these events of one run, durably, in one transaction: all of them or none.

        Raises StaleEpochError when the lease was released or taken over, RunNotFoundError
        before `create_run`; JournalError also for what JSON cannot hold, and when a draft's
        `seq` is not the next one: then somebody else has written into the run.
        """
        return self._add(drafts, lease)

    def _add(
        self, drafts: Sequence[Recorded], lease: Lease, *, create: RunCreated | None = None
    ) -> list[Recorded]:
        run, texts = drafts[0].run, [rows.to_text(draft.event) for draft in drafts]
        if not lease.held or lease.run != run:
            raise StaleEpochError(f"The lease on {lease.target} is not held for run {run}.")
        what = " and ".join(draft.event.type for draft in drafts)
        with self._store.transaction(f"write {what} of run {run}") as connection:
            last = connection.execute(LAST, {"run": run, "target": lease.target}).fetchone()
            target, epoch, seq, position, prev = last
            _check_epoch(lease, epoch)
            if create is not None:
                if target is not None:
                    raise JournalError(f"There is a run {run} in {self.path} already.")
                target = f"{create.saga}/{create.stack}"
                listed = (create.saga, create.stack, create.kind, rows.to_stamp(drafts[0].at))
                connection.execute(rows.ADD_RUN, (position + 1, run, target, *listed))
            if target is None:
                raise RunNotFoundError(f"There is no run {run} in {self.path}.")
            if target != lease.target:
                raise JournalError(f"Run {run} is of {target}, its lease of {lease.target}.")
            added = []
            for draft, data in zip(drafts, texts, strict=True):
                position, seq = position + 1, seq + 1
                if draft.seq not in (0, seq):
                    raise JournalError(
                        f"Run {run} holds {seq - 1} events in {self.path}, not the "
                        f"{draft.seq - 1} that its runner knows: somebody else has written into it."
                    )
                event = draft.event
                place = (position, run, seq, rows.to_stamp(draft.at), epoch)
                columns = (*place, event.type, event.step, data)
                digest = link(prev, columns)
                connection.execute(rows.ADD_EVENT, (*columns, prev, digest))
                added.append(replace(draft, seq=seq, epoch=epoch, hash=digest))
                prev = digest
        return added

    # -- reading -----------------------------------------------------------------------------

    def events(self, run: str, after: int = 0) -> list[Recorded]:
        """The run's events in order, those with a seq above `after`; [] for an unknown run.

        Each row is held against its hash: an edited or damaged one raises JournalError.
        """

        def work(connection: sqlite3.Connection) -> list[EventRow]:
            query = f"{rows.EVENTS} WHERE run = ? AND seq > ? ORDER BY seq"
            return [EventRow._make(row) for row in connection.execute(query, (run, after))]

        found = self._store.read(f"read run {run}", work)
        for seq, row in enumerate(found, start=after + 1):
            if problem := rows.row_problem(row, seq):
                raise JournalError(
                    f"The journal {self.path} cannot be trusted: run {run}, seq {row.seq}: "
                    f"{problem}.",
                    hint="alma-pulumi verify names the first break.",
                )
        return [rows.to_recorded(row) for row in found]

    def runs(self, limit: int | None = 20, target: str | None = None) -> list[RunRow]:
        """The runs, newest first (by their place, not by the clock); of one target if given."""
        where, values = ("", ()) if target is None else ("WHERE target = ?", (target,))

        def work(connection: sqlite3.Connection) -> list[RunRow]:
            query = f"{rows.RUNS} {where} ORDER BY position DESC LIMIT ?"
            found = connection.execute(query, (*values, -1 if limit is None else limit))
            return [rows.to_run(row) for row in found]

        return self._store.read("list the runs", work)

    def run(self, run: str) -> RunRow:
        """The run with exactly that id; RunNotFoundError when there is none."""

        def work(connection: sqlite3.Connection) -> Any:
            return connection.execute(f"{rows.RUNS} WHERE run = ?", (run,)).fetchone()

        row = self._store.read(f"find run {run}", work)
        if row is None:
            raise RunNotFoundError(f"There is no run {run} in {self.path}.")
        return rows.to_run(row)

    def resolve(self, reference: str) -> str:
        """The id of the run that `latest`, an id or a unique prefix of one means.

        Raises RunNotFoundError, with the ids that come into question.
        """

        def work(connection: sqlite3.Connection) -> list[str]:
            # char(1114111) is the last code point: no id with this prefix sorts behind it.
            query = "SELECT run FROM runs WHERE run >= ?1 AND run < ?1 || char(1114111) LIMIT ?2"
            return [run for (run,) in connection.execute(query, (reference, SHOWN + 1))]

        newest = [row.run for row in self.runs(limit=SHOWN)]
        if not newest:
            raise RunNotFoundError(f"There are no runs in {self.path} yet.")
        if reference == "latest":
            return newest[0]
        found = self._store.read("list the runs", work) if reference else []
        if reference in found or len(found) == 1:
            return found[0]
        if not found:
            raise RunNotFoundError(
                f"There is no run {reference!r} in {self.path}.",
                hint=f"The newest are: {', '.join(newest)}.",
            )
        more = ", ..." if len(found) > SHOWN else ""
        raise RunNotFoundError(
            f"{reference!r} fits several runs: {', '.join(found[:SHOWN])}{more}.",
            hint="Give more of the id.",
        )

    # -- trust -------------------------------------------------------------------------------

    def head(self) -> Head:
        """The place and hash of the last event. Keep it elsewhere, to `verify` against later."""

        def work(connection: sqlite3.Connection) -> Any:
            return connection.execute(f"{rows.EVENTS} ORDER BY position DESC LIMIT 1").fetchone()

        row = self._store.read("read the last event", work)
        return Head(position=row[0], hash=row[-1]) if row else Head()

    def verify(self, expected: Head | None = None) -> Verdict:
        """Walk the whole chain and check the file; `expected` is an earlier `head()`."""
        return self._store.read("verify", lambda c: _journal_verify.verify(c, expected))


def _check_epoch(lease: Lease, latest: int) -> None:
    if latest != lease.epoch:
        raise StaleEpochError(
            f"The lease on {lease.target} was taken over: its epoch is {lease.epoch}, "
            f"the last is {latest}.",
            hint="Another runner drives it now; see alma-pulumi status.",
        )
