"""SIGINT, SIGTERM and SIGHUP, as long as a run goes on."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

CAUGHT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""SIGHUP as well: a run must not die with its terminal. Whoever ignores it (nohup) keeps that."""


@contextlib.contextmanager
def catch_signals(on_signal: Callable[[str], None]) -> Iterator[None]:
    """Call `on_signal(name)` on the running loop for each signal; put back what was there.

    Only the main thread can be told of signals: in any other (a notebook's worker, a test's
    thread) this does nothing, and the signals stay with whoever has them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {caught: signal.getsignal(caught) for caught in CAUGHT}
    before = {caught: old for caught, old in before.items() if old is not signal.SIG_IGN}
    for caught in before:
        loop.add_signal_handler(caught, on_signal, caught.name)
    try:
        yield
    finally:
        for caught, old in before.items():
            loop.remove_signal_handler(caught)
            signal.signal(caught, old)
