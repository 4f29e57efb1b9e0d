"""Leases in the journal: the lock for the runner's life, and the row that gives its epoch."""

from __future__ import annotations

import sqlite3
import time
from datetime import datetime
from typing import Any, Final

from alma.core.events import Process
from alma.errors import RunnerBusyError
from alma.journal import rows
from alma.journal.chain import GENESIS, LeaseRow, link
from alma.journal.lease import Holder, Lease, lock_path, may_live
from alma.journal.sqlite import files
from alma.journal.sqlite.connection import Store
from alma.system.files import is_locked, make_directory, try_lock

HOLDER_SECONDS: Final = 1.0
"""How long to wait for the name of a holder that has its lock and not yet its row."""


def acquire(
    store: Store, target: str, run: str, actor: str, process: Process, at: datetime
) -> Lease:
    """First the lock, then the row: whoever dies in between leaves nothing behind."""
    path = lock_path(store.path, target)
    with files.explained("take the lease beside", store.path):
        make_directory(path.parent)
        lock = try_lock(path)
    if lock is None:
        raise _busy(store, target)
    lease = Lease(
        target=target,
        run=run,
        epoch=0,
        process=process,
        actor=actor,
        acquired_at=at,
        lock=lock,
    )
    try:
        with store.transaction(f"take the lease on {target}") as connection:
            lease.epoch = _add(connection, lease)
    except BaseException:
        lease.release()
        raise
    return lease


def latest_epoch(store: Store, target: str) -> int:
    """The epoch of the last lease on a target; 0 before the first."""
    return store.read("read the leases", lambda connection: _latest(connection, target))


def holder(store: Store, target: str) -> Holder | None:
    """The last lease on a target, live or not; None when there never was one."""

    def work(connection: sqlite3.Connection) -> Any:
        query = f"{rows.LEASES} WHERE target = ? ORDER BY epoch DESC LIMIT 1"
        return connection.execute(query, (target,)).fetchone()

    row = store.read("read the leases", work)
    return row and rows.to_holder(LeaseRow._make(row), live=is_held(store, target))


def is_held(store: Store, target: str) -> bool:
    """Whether a live runner holds the lease on a target."""
    with files.explained("look at the leases beside", store.path):
        return is_locked(lock_path(store.path, target))


def _latest(connection: sqlite3.Connection, target: str) -> int:
    query = "SELECT ifnull(max(epoch), 0) FROM leases WHERE target = ?"
    (epoch,) = connection.execute(query, (target,)).fetchone()
    return int(epoch)


def _add(connection: sqlite3.Connection, lease: Lease) -> int:
    """Add the lease's row with the next epoch of its target, which is returned."""
    last = connection.execute(f"{rows.LEASES} ORDER BY number DESC LIMIT 1").fetchone()
    number, prev = (last[0] + 1, last[-1]) if last else (1, GENESIS)
    epoch = _latest(connection, lease.target) + 1
    columns = (
        number,
        lease.target,
        epoch,
        lease.run,
        lease.process.host,
        lease.process.pid,
        float(lease.process.started),
        lease.actor,
        rows.to_stamp(lease.acquired_at),
    )
    connection.execute(rows.ADD_LEASE, (*columns, prev, link(prev, columns)))
    return epoch


def _busy(store: Store, target: str) -> RunnerBusyError:
    """Name the holder. It has the lock a moment before its row: wait for that one."""
    deadline = time.monotonic() + HOLDER_SECONDS
    found = holder(store, target)
    while (found is None or not may_live(found.process)) and time.monotonic() < deadline:
        time.sleep(0.02)
        found = holder(store, target)
    if found is None or not may_live(found.process):
        return RunnerBusyError(
            f"Another runner is just starting on {target}.", hint="Try again in a moment."
        )
    return RunnerBusyError(
        f"Another runner holds {target}: pid {found.process.pid} on {found.process.host}, "
        f"since {rows.to_stamp(found.acquired_at)}, run {found.run}.",
        hint=f"Wait for it, or stop it with: kill -INT {found.process.pid}",
    )
