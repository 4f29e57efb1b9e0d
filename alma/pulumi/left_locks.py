"""Locks that the journal's own dead processes have left: they go, and nobody else's does.

A CLI that cannot reach its backend any more ends and leaves its lock there, after an operation that
is over and failed. Nothing reconciles that one: whoever needs the stack next finds the lock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from msgspec import Struct

from alma.core.event_parts import Gone
from alma.core.events import Process
from alma.pulumi.engine import StackRef
from alma.pulumi.locks import Lock, Locks
from alma.system.processes import HOST, PLACE


class Known(Struct, frozen=True, kw_only=True):
    """What the journal knows of a stack: who has worked on it, and which hosts are gone."""

    processes: tuple[Process, ...] = ()
    gone: tuple[Gone, ...] = ()

    def has_left(self, lock: Lock) -> bool:
        """Whether it was taken by one of these, which is proven dead, or on a host that is gone.

        Where one of them was on another host, or in another container, of this one's name, a pid
        that is not here proves nothing.
        """
        if any(map(lock.is_of_gone, self.gone)):
            return True
        namesakes = (one for one in self.processes if one.machine == HOST and one.host != PLACE)
        return not any(namesakes) and lock.is_of(self.processes) and lock.is_proven_dead()


KnownOf = Callable[[StackRef], Known]


def nothing_known(_ref: StackRef) -> Known:
    """Without a journal."""
    return Known()


async def holder_of(locks: Locks | None, known: Callable[[], Known], operation: str = "") -> str:
    """Who holds a lock of these, in words; empty where nobody does any more.

    Where all of them were left by the journal's own dead processes, they are removed, for this
    operation if there is one.
    """
    found = await locks.look() if locks is not None else ()
    if locks is None or not found:
        return ""
    ours = await asyncio.to_thread(known)
    held = [lock for lock in found if not ours.has_left(lock)]
    if not held:
        await locks.remove(found, operation)
        return ""
    return next((one.holder for one in held if not locks.is_dead(one, ours.processes)), "")
