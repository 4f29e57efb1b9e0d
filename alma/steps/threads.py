"""Threads for plain functions: kept for the next one, and never waited for."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Final

Ended = tuple[Any, BaseException | None]
"""What a function returned, or what it raised: a future must not hold some of the latter."""

KEPT: Final = 5.0
"""Seconds that a thread waits for its next function before it ends."""


def in_thread(function: Callable[[], Any]) -> asyncio.Future[Ended]:
    """Call it in a thread, in a copy of the context of here; cancelling only stops listening.

    The threads are daemons: a function that hangs keeps no process from ending. Nor does it hold
    up another one, for a thread is free again only when its function has ended.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Ended] = loop.create_future()
    scope = contextvars.copy_context()

    def work() -> Callable[[], None]:
        ended: Ended
        try:
            ended = scope.run(function), None
        except BaseException as error:  # noqa: BLE001 - carried over to the loop
            ended = None, error

        def tell() -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody listens any more
                loop.call_soon_threadsafe(_settle, future, ended)

        return tell

    try:
        thread = _free.pop()
    except IndexError:
        thread = _Thread()
    thread.work.put(work)
    return future


def _settle(future: asyncio.Future[Ended], ended: Ended) -> None:
    if not future.done():
        future.set_result(ended)


class _Thread:
    def __init__(self) -> None:
        self.work: SimpleQueue[Callable[[], Callable[[], None]]] = SimpleQueue()
        threading.Thread(target=self._serve, name="alma-action", daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                tell = self.work.get(timeout=KEPT)()
            except Empty:
                try:
                    _free.remove(self)
                except ValueError:
                    continue  # It was just taken, so there is work.
                return
            _free.append(self)  # Before it tells: whoever hears of it finds this thread free.
            tell()
            del tell  # It holds what the function gave.


_free: Final[list[_Thread]] = []
os.register_at_fork(after_in_child=_free.clear)
