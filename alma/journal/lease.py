"""Who may drive a target: a lock for the runner's life, and an epoch for ever.

The store's lock dies with its process, so that nothing has to be timed out. The epoch, a row in
the journal, makes it safe: it grows with every lease on a target, and an append under an older
one is refused, whatever became of the lock.
"""

from __future__ import annotations

import shlex
import time
from datetime import datetime
from types import TracebackType
from typing import Final, Self

from msgspec import Struct

from alma.core.events import Process
from alma.errors import BrokenJournalError, RunnerBusyError, StaleEpochError
from alma.journal.chain import GENESIS, lease_problem, row_hash
from alma.journal.rows import LeaseRow, Place
from alma.journal.store import Lock, Store, Writer, to_stamp

HOLDER_SECONDS: Final = 1.0
"""How long to wait for a holder that has its lock and not yet its row, or is dead."""


class Holder(Struct, frozen=True, kw_only=True):
    """The last lease that was taken on a target. `live`: its runner still holds the lock."""

    target: str
    run: str
    epoch: int
    process: Process
    actor: str
    acquired_at: datetime
    live: bool


class Lease(Struct, kw_only=True):
    """The right to append to a run, made by `Journal.acquire`; a context manager.

    `epoch` counts from 1 for each target. The lock is released by `release` or with the
    process. A forked child must not use it (workers are spawned).
    """

    target: str
    run: str
    epoch: int
    process: Process
    actor: str
    acquired_at: datetime
    lock: Lock

    @property
    def held(self) -> bool:
        """Whether it was not released yet. Whether it is stale only an append can tell."""
        return self.lock.held

    def release(self) -> None:
        """Give the lock back; the second time does nothing."""
        self.lock.release()

    def check_epoch(self, latest: int) -> None:
        """Raise StaleEpochError when another lease was taken on the target since."""
        if latest != self.epoch:
            raise StaleEpochError(
                f"The lease on {self.target} was taken over: its epoch is {self.epoch}, "
                f"the last is {latest}.",
                hint="Another runner drives it now; see alma-pulumi status.",
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


def acquire(
    store: Store, target: str, run: str, actor: str, process: Process, at: datetime
) -> Lease:
    """First the lock, then the row: whoever dies in between leaves nothing behind."""
    lock = _locked(store, target)
    lease = Lease(
        target=target, run=run, epoch=0, process=process, actor=actor, acquired_at=at, lock=lock
    )
    try:
        lease.epoch = store.write(f"take the lease on {target}", lambda writer: _add(writer, lease))
    except BaseException:
        lease.release()
        raise
    return lease


def join(store: Store, target: str, run: str, epoch: int, process: Process) -> Lease:
    """A lease that was taken for several processes, as one of them has it."""
    row = store.read("read the leases", lambda reader: reader.last_lease(target))
    found = Lease(
        target=target,
        run=run,
        epoch=epoch,
        process=process,
        actor=row.actor if row else "",
        acquired_at=datetime.fromisoformat(row.acquired_at) if row else datetime.min,  # noqa: DTZ901
        lock=_Shared(),
    )
    found.check_epoch(row.epoch if row and row.run == run else 0)
    return found


class _Shared:
    """Of a lease that no process holds for itself: its epoch alone fences."""

    def __init__(self) -> None:
        self.held = True

    def release(self) -> None:
        """See `Lock`."""
        self.held = False


def holder(store: Store, target: str) -> Holder | None:
    """The last lease on a target, live or not; None when there never was one."""
    row = store.read("read the leases", lambda reader: reader.last_lease(target))
    if row is None:
        return None
    if problem := lease_problem(row):
        raise BrokenJournalError(
            f"The journal {store.name} cannot be trusted: lease {row.number}: {problem}.",
            hint="alma-pulumi verify names the first break.",
        )
    return Holder(
        target=row.target,
        run=row.run,
        epoch=row.epoch,
        process=Process(host=row.host, pid=row.pid, started=row.started),
        actor=row.actor,
        acquired_at=datetime.fromisoformat(row.acquired_at),
        live=store.is_locked(target),
    )


def _add(writer: Writer, lease: Lease) -> int:
    """Add the lease's row with the next epoch of its target, which is returned."""
    last, before = writer.last_lease(), writer.last_lease(lease.target)
    columns = (
        last.number + 1 if last else 1,
        lease.target,
        before.epoch + 1 if before else 1,
        lease.run,
        lease.process.host,
        lease.process.pid,
        float(lease.process.started),
        lease.actor,
        to_stamp(lease.acquired_at),
    )
    prev = last.hash if last else GENESIS
    row = LeaseRow(*columns, prev, row_hash(prev, columns))
    writer.add_lease(row)
    return row.epoch


def _locked(store: Store, target: str) -> Lock:
    """The lock; RunnerBusyError, which names the holder, where somebody has it.

    A holder has it a moment before its row; and one that was killed may keep it for a moment, until
    the server has noticed. So it is waited for whoever is not known to live.
    """
    from alma.system.processes import may_live  # psutil: commands that only read do without

    deadline = time.monotonic() + HOLDER_SECONDS
    while (lock := store.lock(target)) is None:
        found = holder(store, target)
        if found is not None and may_live(found.process):
            raise _busy(target, found)
        if time.monotonic() > deadline:
            raise _busy(target, None)
        time.sleep(0.02)
    return lock


def _busy(target: str, found: Holder | None) -> RunnerBusyError:
    error = RunnerBusyError(
        f"Another runner is just starting on {target}.", hint="Try again in a moment."
    )
    if found is not None:
        error = RunnerBusyError(
            f"Another runner holds {target}: pid {found.process.pid} on {found.process.machine}, "
            f"since {to_stamp(found.acquired_at)}, run {found.run}.",
            hint="Wait for it (`--lock-timeout 10m`), or ask it to stop: "
            f"`alma-pulumi cancel {shlex.quote(found.run)}`.",
        )
    error.target = target
    return error


class SharedRuns:
    """The part of `Journal` for processes that share one run, under one lease."""

    _store: Store

    def join(self, target: str, run: str, epoch: int) -> Lease:
        """A lease that was taken for others as well; StaleEpochError once there is a later one."""
        from alma.system.processes import this_process  # psutil: only a runner needs it

        return join(self._store, target, run, epoch, this_process())

    def lock_part(self, target: str, part: str) -> Lock | None:
        """Lock what is done about a part of a target; None while somebody has that."""
        return self._store.lock(f"{target}#{part}")

    def place(self, run: str, target: str) -> Place:
        """What an append would follow."""
        return self._store.read(f"look at run {run}", lambda reader: reader.place(run, target))
