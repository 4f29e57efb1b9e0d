"""After a crash: wait for what still works for an operation, end its plugins, break dead locks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct, field

from alma.core.event_parts import NONE_GONE, Gone
from alma.core.events import Process
from alma.core.operation import Reconciled
from alma.errors import RefusedError
from alma.pulumi.engine import StackRef
from alma.pulumi.family import is_cli, is_worker, marked_programs
from alma.pulumi.locks import Locks
from alma.system import processes as live

if TYPE_CHECKING:
    import psutil

_PATIENCE: Final = 3600.0
"""Seconds that a CLI gets to drain: some clouds take half an hour to create a database."""
_PLUGINS_GO: Final = 5.0
"""Seconds for plugins to end after their CLI: one may be in the middle of a call to its cloud."""


class _Evidence(Struct, kw_only=True):
    waited_for: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)


class Reconciliation:
    """Brings one operation in doubt to rest. `locks` are its stack's, None where there are none."""

    def __init__(
        self,
        ref: StackRef,
        operation: str,
        processes: tuple[Process, ...],
        locks: Locks | None,
        gone: Gone = NONE_GONE,
    ) -> None:
        self._ref = ref
        self._operation = operation
        self._journaled = processes
        self._locks = locks
        self._gone = gone
        self._unseen = [
            process.machine
            for process in processes
            if not live.is_here(process) and process.host not in gone.hosts
        ]
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
        await self._mend_locks()
        return self._report()

    async def _wait_for_cli(self) -> None:
        clis = self._clis()
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

    async def _mend_locks(self) -> None:
        if self._locks is None:
            return
        found = await self._locks.look()
        for lock in found:
            # Where a process of the operation was in another namespace, or on another host of this
            # name, a pid that is not here proves nothing.
            proven = not self._unseen and self._locks.is_dead(lock, self._journaled)
            if not (lock.is_of_gone(self._gone) or proven):
                way = self._locks.way_out(lock)
                if lock.host in self._unseen:
                    way = f"say so with `--host-is-gone --reason ...`, or {way}"
                raise RefusedError(
                    f"Stack {self._ref.project}/{self._ref.stack} is locked by {lock.holder}.",
                    hint="Wait for it to end. If it is known to be dead where it ran (a host or a "
                    f"container), {way}.",
                )
        await self._locks.remove(found, self._operation)
        self._evidence.broken = [lock.holder for lock in found]

    def _clis(self) -> list[psutil.Process]:
        """Those that live: journaled, whatever their name is, and marked (of older journals)."""
        marked = marked_programs(self._operation)
        found = {process.pid: process for process in marked if is_cli(process)}
        for journaled in self._journaled:
            process = live.find(journaled)
            if process is not None and not is_worker(process):
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
        elif seen.elsewhere and not self._unseen:
            words.append(f"it was at work on {', '.join(seen.elsewhere)}, which is gone")
        evidence: dict[str, Any] = {
            "waited_for": seen.waited_for,
            "ended": seen.ended,
            "locks_broken": seen.broken,
            "other_hosts": seen.elsewhere,
        }
        return Reconciled(found="; ".join(words) or "nothing was left at work", evidence=evidence)
