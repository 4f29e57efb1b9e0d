"""The lock files of a file backend: who holds a stack, and whether the holder still lives.

Layout and content: `pkg/backend/diy/lock.go` in pulumi/pulumi. A lock is a file with pid, user,
host and time; it has no lease, so it stays when its holder dies. `pulumi cancel` deletes any.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psutil

from alma.core.struct import Frozen
from alma.pulumi.engine import StackRef
from alma.system.processes import HOST, is_cli

_CLOCKS: Final = 2.0
"""Seconds by which a process's start may seem to lie after a lock that it took itself."""


class Lock(Frozen):
    """One lock file; `pid` 0 and an empty `host` when it cannot be read."""

    path: Path
    pid: int
    user: str
    host: str
    at: datetime

    @property
    def holder(self) -> str:
        """`user@host (pid 1) since 2026-01-01T00:00:00+00:00`."""
        return f"{self.user}@{self.host} (pid {self.pid}) since {self.at.isoformat()}"

    def is_proven_dead(self) -> bool:
        """Same host, and the pid is free or was given to another process after the lock.

        A Pulumi CLI with that pid is taken for the holder whatever the times say: after a clock
        was set, a process seems to have started later than it did.
        """
        if self.host != HOST or self.pid <= 0:
            return False
        try:
            process = psutil.Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return True
            if is_cli(process):
                return False
            return process.create_time() > self.at.timestamp() + _CLOCKS
        except psutil.NoSuchProcess:
            return True
        except psutil.AccessDenied:
            return False


def locks_of(root: Path, ref: StackRef) -> Iterator[Lock]:
    """The locks on this stack. All projects of a file backend are of one organization."""
    folder = root / ".pulumi" / "locks" / "organization" / ref.project / ref.stack
    for path in sorted(folder.glob("*.json")):
        try:
            content = json.loads(path.read_text())
            yield Lock(
                path=path,
                pid=int(content["pid"]),
                user=str(content["username"]),
                host=str(content["hostname"]),
                at=datetime.fromisoformat(content["timestamp"]),
            )
        except FileNotFoundError:
            continue  # Released meanwhile.
        except (OSError, ValueError, KeyError, TypeError):
            yield Lock(path=path, pid=0, user="?", host="", at=datetime.fromtimestamp(0, UTC))


def break_lock(lock: Lock) -> None:
    """Delete the lock and the backend's note on its content type beside it."""
    lock.path.unlink(missing_ok=True)
    lock.path.with_name(f"{lock.path.name}.attrs").unlink(missing_ok=True)
