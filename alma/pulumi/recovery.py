"""After a crash: wait for what still works for an operation, then mend what it left behind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from alma.core.events import Process
from alma.core.struct import Struct, field
from alma.errors import RefusedError
from alma.pulumi.engine import Reconciled, StackRef
from alma.pulumi.locks import break_lock, locks_of
from alma.system import processes as live

if TYPE_CHECKING:
    import psutil

_PATIENCE: Final = 3600.0
"""Seconds that a CLI gets to drain: some clouds take half an hour to create a database."""
_PLUGINS_GO: Final = 5.0
"""Seconds for plugins to end after their CLI: one may be in the middle of a call to its cloud."""


class _Evidence(Struct):
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

    async def reach(self) -> Reconciled:
        """Wait, end what hangs, break proven dead locks. Raises `RefusedError` for a live one."""
        self._evidence.elsewhere = [
            f"{process.host} (pid {process.pid})"
            for process in self._journaled
            if process.host != live.HOST
        ]
        await self._wait_for_cli()
        await self._end_plugins()
        self._mend_locks()
        return self._report()

    async def _wait_for_cli(self) -> None:
        clis = [process for process in self._living() if live.is_cli(process)]
        self._evidence.waited_for = [live.describe(process) for process in clis]
        if not await live.wait_gone(clis, _PATIENCE):
            raise RefusedError(
                f"{', '.join(self._evidence.waited_for)} still works on stack "
                f"{self._ref.project}/{self._ref.stack}.",
                hint="Wait for it, or end it if it hangs, and resume.",
            )

    async def _end_plugins(self) -> None:
        left = live.marked(self._operation)
        if left and not await live.wait_gone(left, _PLUGINS_GO):
            self._evidence.ended = live.kill(process for process in left if process.is_running())
            await live.wait_gone(left, _PLUGINS_GO)

    def _mend_locks(self) -> None:
        if self._root is None:
            return
        for lock in locks_of(self._root, self._ref):
            if not lock.is_proven_dead():
                raise RefusedError(
                    f"Stack {self._ref.project}/{self._ref.stack} is locked by {lock.holder}.",
                    hint="Wait for it to end. If it is known to be dead on its own host, "
                    f"delete {lock.path}.",
                )
            break_lock(lock)
            self._evidence.broken.append(lock.holder)

    def _living(self) -> list[psutil.Process]:
        """Journaled processes that live, and marked ones: a crash may have kept one unjournaled."""
        found = {process.pid: process for process in live.marked(self._operation)}
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
