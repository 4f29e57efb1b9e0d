"""Who may drive a target: a file lock for the runner's life, and an epoch for ever.

The lock (`flock`) dies with its process, so that nothing has to be timed out. The epoch, a row
in the journal, makes it safe: it grows with every lease on a target, and an append under an
older one is refused, whatever became of the lock.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from alma.core.events import Process
from alma.core.struct import Frozen, Struct, field

CONTENTION_SECONDS: Final = 1.0
"""How long an acquirer waits for those who only look (`is_held`): they take microseconds."""


def lock_path(journal: Path, target: str) -> Path:
    """The lock file of a target: beside the journal, named by the target's SHA-256.

    It is never deleted: whoever waited on a deleted file would hold a lock on nothing.
    """
    return journal.parent / "leases" / f"{sha256(target.encode()).hexdigest()}.lock"


def try_lock(path: Path) -> int | None:
    """An exclusively locked descriptor, closed on exec; None when somebody holds the lock.

    The directory must exist; the file is made with mode 0600. Raises OSError.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o600)
    try:
        deadline = time.monotonic() + CONTENTION_SECONDS
        while not _flock(descriptor, fcntl.LOCK_EX):
            # A shared lock is granted beside those who only look, and never beside a holder.
            looked_at = _flock(descriptor, fcntl.LOCK_SH)
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            if not looked_at or time.monotonic() > deadline:
                os.close(descriptor)
                return None
            import random  # two at one moment are rare

            time.sleep(random.uniform(0.0005, 0.005))  # noqa: S311 - two must not keep step
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def is_locked(path: Path) -> bool:
    """Whether a live process holds the lock; makes and changes nothing. Raises OSError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        return not _flock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _flock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


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
    descriptor: int | None = field(repr=False)

    @property
    def held(self) -> bool:
        """Whether it was not released yet. Whether it is stale only an append can tell."""
        return self.descriptor is not None

    def release(self) -> None:
        """Give the lock back; the second time does nothing."""
        descriptor, self.descriptor = self.descriptor, None
        if descriptor is None:
            return
        if os.getpid() == self.process.pid:
            # A forked child may share the lock: unlock it for all, do not only close it here.
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_UN)
        with suppress(OSError):
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()
