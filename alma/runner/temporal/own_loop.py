"""A loop in a thread of its own, for work that may hold it up: the one that called it goes on.

The journal is read and written in the loop of whoever drives a run, and a server that says nothing
is waited for there (`alma.system.postgres`). Who says meanwhile that the work goes on needs another
loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Self, TypeVar

T = TypeVar("T")


class OwnLoop:
    """A context manager: the loop is there from its beginning to its end."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="alma-runs", daemon=True)

    def __enter__(self) -> Self:
        self._runner.get_loop()  # made here: who has no file for it hears that
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.call(self._over.set)
        self._thread.join()

    def begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Future[T]:
        """Have it done there, for who waits here."""
        return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._runner.get_loop()))

    def call(self, function: Callable[[], object]) -> None:
        """Have it called there, and do not wait."""
        self._runner.get_loop().call_soon_threadsafe(function)

    def _run(self) -> None:
        async def until_over() -> None:
            await self._over.wait()

        with self._runner:
            self._runner.run(until_over())
