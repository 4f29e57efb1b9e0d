"""An event loop whose time is a number: delays and deadlines take none, and nothing can hang."""

from __future__ import annotations

import asyncio
import selectors
from typing import Any


class StuckError(AssertionError):
    """Everything waits and nothing can come any more, or it never comes to an end."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """Instead of waiting it steps its clock to what is due next."""

    def __init__(self, limit: int = 20_000) -> None:
        self.now = 0.0
        self._turns = limit
        super().__init__(_Selector(self))

    def time(self) -> float:
        """Virtual seconds."""
        return self.now

    def step(self, timeout: float | None) -> None:
        """Nothing is ready: go to what is due in `timeout` seconds."""
        if timeout is None:
            raise StuckError("it waits for what cannot come")
        self.now += timeout

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # noqa: ARG002
        """At once: nobody would wait for what a thread is at."""
        ended = self.create_future()
        try:
            ended.set_result(func(*args))
        except BaseException as error:  # noqa: BLE001 - it is the caller's
            ended.set_exception(error)
        return ended

    def count(self) -> None:
        """One more turn of the loop."""
        self._turns -= 1
        if self._turns < 0:
            raise StuckError("it does not come to an end")


class _Selector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        self._loop.count()
        ready = super().select(0)
        if not ready and (timeout is None or timeout > 0):
            self._loop.step(timeout)
        return ready
