"""Who may drive a target: a file lock for the runner's life, and an epoch for ever.

The lock (`flock`) dies with its process, so that nothing has to be timed out. The epoch, a row
in the journal, makes it safe: it grows with every lease on a target, and an append under an
older one is refused, whatever became of the lock.
"""

from __future__ import annotations

import os
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self

from alma.core.events import Process
from alma.core.struct import Frozen, Struct, field
from alma.system.files import FileLock


def lock_path(journal: Path, target: str) -> Path:
    """The lock file of a target: beside the journal, named by the target's SHA-256.

    It is never deleted: whoever waited on a deleted file would hold a lock on nothing.
    """
    return journal.parent / "leases" / f"{sha256(target.encode()).hexdigest()}.lock"


def current_process() -> Process:
    """This process: host, pid and start time (seconds, epoch)."""
    import psutil  # only a runner needs it; commands that read start faster

    pid = os.getpid()
    return Process(host=_host(), pid=pid, started=psutil.Process(pid).create_time())


def _host() -> str:
    import socket  # as psutil

    return socket.gethostname()


def may_live(process: Process) -> bool:
    """False only when it is certain that the process is gone: same host, no such pid."""
    if process.host != _host():
        return True
    try:
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


class Holder(Frozen):
    """The last lease that was taken on a target. `live`: its runner still holds the lock."""

    target: str
    run: str
    epoch: int
    process: Process
    actor: str
    acquired_at: datetime
    live: bool


class Lease(Struct):
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
    lock: FileLock = field(repr=False)

    @property
    def held(self) -> bool:
        """Whether it was not released yet. Whether it is stale only an append can tell."""
        return self.lock.held

    def release(self) -> None:
        """Give the lock back; the second time does nothing."""
        self.lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()
