"""Faults as data, so that a test can generate, shrink and print them; and what a crash ends."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Literal, NoReturn

from alma.core.events import Failure
from alma.core.operation import Operation

FaultEffect = Literal[
    "fail", "crash", "drain", "pending", "power", "leak", "lie", "hang", "unreadable"
]
JournalEffect = Literal["crash_before", "crash_after", "full", "locked", "clock"]

LOCKED = Failure(kind="locked", message="the stack is currently locked by another update")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that goes wrong, in the `nth` call (from 1) of an operation on a project.

    `after`: how many resources the operation still gets done. Effects:

    - `fail`: it ends with a provider error.
    - `crash`: the runner dies, and the CLI with it, between two resources.
    - `drain`: the runner dies; the CLI lives on and finishes when somebody waits for it.
    - `pending`: the CLI is killed in the middle of a resource: the provider finishes it, the
      state only says that it was begun.
    - `power`: `pending`, and the runner dies as well.
    - `leak`: the provider dies in the middle of a create that took effect: the operation fails,
      and the state does not know of it.
    - `lie`: it reports success with the rest not done.
    - `hang`: it waits for the interrupt or for the deadline.
    - `unreadable` (inspect only): BackendError.
    """

    project: str
    operation: Literal["up", "destroy", "restore", "remove", "inspect", "drift"]
    effect: FaultEffect = "fail"
    nth: int = 1
    after: int = 0


@dataclass(frozen=True, kw_only=True)
class JournalFault:
    """One thing that goes wrong at the `nth` append (from 1) of a runner's life.

    - `crash_before` and `crash_after`: the runner dies before or after the commit.
    - `full`: the disk is full, from then on.
    - `locked`: another writer holds the file during this append.
    - `clock`: the clock steps by `seconds` before it.
    """

    nth: int
    effect: JournalEffect
    seconds: float = 0.0


class Crash(BaseException):
    """The runner's process died at this point."""


@dataclass
class Life:
    """Ends once. From then on nothing that shares it has an effect: each call raises Crash.

    Without it a runner that "dies" in one step would go on in its other steps for a moment.
    """

    over: bool = False

    def end(self) -> NoReturn:
        """The process dies here."""
        self.over = True
        raise Crash

    def check(self) -> None:
        """Crash, if it is over."""
        if self.over:
            raise Crash


async def hang(operation: Operation) -> Failure:
    """Until it is interrupted, or its deadline comes."""
    try:
        await asyncio.wait_for(operation.interrupt.wait(), operation.timeout)
    except TimeoutError:
        operation.on_signal("SIGINT", "deadline")
        return Failure(kind="timeout", message=f"it did not end within {operation.timeout:g} s")
    return interrupted(operation)


def interrupted(operation: Operation) -> Failure:
    """What an operation that was told to stop ends with."""
    operation.on_signal("SIGINT", "interrupt")
    return Failure(kind="cancelled", message="it was interrupted")
