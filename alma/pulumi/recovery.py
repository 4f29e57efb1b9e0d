"""After a crash: wait for what still works for an operation, end its plugins, break dead locks.

Who holds a stack is a lock file of a file backend (`pkg/backend/diy/lock.go` in pulumi/pulumi):
pid, user, host and time. It has no lease, so it stays when its holder dies. `pulumi cancel`
deletes any.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psutil
from msgspec import Struct, field

from alma.core.events import Process
from alma.core.operation import Reconciled
from alma.errors import RefusedError
from alma.pulumi.engine import StackRef
from alma.pulumi.family import is_cli, marked_programs
from alma.system import processes as live
from alma.system.processes import HOST

_PATIENCE: Final = 3600.0
"""Seconds that a CLI gets to drain: some clouds take half an hour to create a database."""
_PLUGINS_GO: Final = 5.0
"""Seconds for plugins to end after their CLI: one may be in the middle of a call to its cloud."""
_CLOCKS: Final = 2.0
"""Seconds by which a process's start may seem to lie after a lock that it took itself."""


class Lock(Struct, frozen=True, kw_only=True):
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


class _Evidence(Struct, kw_only=True):
    waited_for: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)


class Reconciliation:
    """Brings one operation in doubt to rest. `root` is the file backend's directory, or None."""

    def __init__(
        self, ref: StackRef, operation: str, processes: tuple[Process, ...], root: Path | None
    ) -> None:
        self._ref = ref
        self._operation = operation
        self._journaled = processes
        self._root = root
        self._evidence = _Evidence()

    async def run(self) -> Reconciled:
        """Wait, end what hangs, break proven dead locks. Raises `RefusedError` for a live one."""
        self._evidence.elsewhere = [
            f"{process.machine} (pid {process.pid})"
            for process in self._journaled
            if not live.is_here(process)
        ]
        await self._wait_for_cli()
        await self._end_plugins()
        self._mend_locks()
        return self._report()

    async def _wait_for_cli(self) -> None:
        clis = [process for process in self._living() if is_cli(process)]
        self._evidence.waited_for = [live.describe(process) for process in clis]
        if not await live.wait_gone(clis, _PATIENCE):
            raise RefusedError(
                f"{', '.join(self._evidence.waited_for)} still works on stack "
                f"{self._ref.project}/{self._ref.stack}.",
                hint="Wait for it, or end it if it hangs, and resume.",
            )

    async def _end_plugins(self) -> None:
        left = marked_programs(self._operation)
        if left and not await live.wait_gone(left, _PLUGINS_GO):
            self._evidence.ended = live.kill(process for process in left if process.is_running())
            await live.wait_gone(left, _PLUGINS_GO)

    def _mend_locks(self) -> None:
        if self._root is None:
            return
        for lock in locks_of(self._root, self._ref):
            # Where a process of the operation was in another namespace, or on another host of this
            # name, a pid that is not here proves nothing.
            if self._evidence.elsewhere or not lock.is_proven_dead():
                raise RefusedError(
                    f"Stack {self._ref.project}/{self._ref.stack} is locked by {lock.holder}.",
                    hint="Wait for it to end. If it is known to be dead where it ran (a host or a "
                    f"container), delete {lock.path}.",
                )
            break_lock(lock)
            self._evidence.broken.append(lock.holder)

    def _living(self) -> list[psutil.Process]:
        """Journaled processes that live, and marked ones: a crash may have kept one unjournaled."""
        found = {process.pid: process for process in marked_programs(self._operation)}
        for journaled in self._journaled:
            process = live.find(journaled)
            if process is not None:
                found[process.pid] = process
        return list(found.values())

    def _report(self) -> Reconciled:
        seen = self._evidence
        words = []
        if seen.waited_for:
            words.append(f"waited for {', '.join(seen.waited_for)} to end")
        if seen.ended:
            words.append(f"ended {', '.join(seen.ended)}")
        if seen.broken:
            words.append(f"broke the lock of {', '.join(seen.broken)}, which is dead")
        evidence: dict[str, Any] = {
            "waited_for": seen.waited_for,
            "ended": seen.ended,
            "locks_broken": seen.broken,
            "other_hosts": seen.elsewhere,
        }
        return Reconciled(found="; ".join(words) or "nothing was left at work", evidence=evidence)
