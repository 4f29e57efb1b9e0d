"""SIGINT, SIGTERM and SIGHUP, as long as runs go on: one registry for the process.

However many runs a process has, in one loop or in threads, every one of them is told, and so is
whoever was told before there were any. What was there is put back when the last run has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Final

CAUGHT: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""SIGHUP as well: a run must not die with its terminal. Whoever ignores it (nohup) keeps that."""

Tell = Callable[[str], None]

_runs: dict[object, tuple[asyncio.AbstractEventLoop, Tell]] = {}
_by_signal: set[object] = set()
"""The runs that are told of the process's signals; the others only of `interrupt`."""
_holders: set[object] = set()
"""The runs of the main thread: the handlers are ours as long as there are any."""
_before: dict[signal.Signals, Any] = {}
_woken: list[tuple[asyncio.AbstractEventLoop, socket.socket, socket.socket]] = []
"""The loop that each signal wakes, and by what."""
_raised: list[BaseException] = []
"""What handlers of the host have raised meanwhile, to be raised when the runs have ended."""


@contextlib.contextmanager
def catch_signals(on_signal: Tell, *, handle: bool = True) -> Iterator[None]:
    """Call `on_signal(name)` on the running loop for each signal that the process gets.

    Only the main thread can catch signals: a run in another one is told as long as a run of the
    main thread goes on, and by `interrupt`. With `handle=False` it is told by `interrupt` alone.
    """
    run = object()
    _runs[run] = asyncio.get_running_loop(), on_signal
    if handle:
        _by_signal.add(run)
        if threading.current_thread() is threading.main_thread():
            _catch()
            if not _holders:
                _wake(_runs[run][0])
            _holders.add(run)
    try:
        yield
    finally:
        del _runs[run]
        _by_signal.discard(run)
        if run in _holders:
            _holders.discard(run)
            if not _holders:
                _let_sleep()
                _put_back()


def interrupt(name: str = "SIGTERM") -> None:
    """Interrupt every run of this process, as a signal of that name does; from any thread.

    For hosts that handle signals themselves: once drains, twice stops.
    """
    _tell(name, frozenset(_runs))


def _tell(name: str, which: frozenset[object]) -> None:
    for run, (loop, on_signal) in _runs.copy().items():
        if run in which:
            with contextlib.suppress(RuntimeError):  # its loop has been closed under it
                loop.call_soon_threadsafe(on_signal, name)


def _caught(number: int, frame: FrameType | None) -> None:
    # A handler of the loop's own (`add_signal_handler`) is told by the loop all the same: that
    # needs some Python handler for the signal, and does not look at which.
    caught = signal.Signals(number)
    _tell(caught.name, frozenset(_by_signal))
    host = _before.get(caught)
    if callable(host) and not _only_ends_the_process(host):
        try:
            host(number, frame)
        except BaseException as error:  # noqa: BLE001 - it would cut the runs off: it waits for them
            _raised.append(error)


def _only_ends_the_process(handler: Any) -> bool:
    """Python's own, that of `asyncio.run`, and those that say so: a run ends in order instead."""
    owner = getattr(getattr(handler, "func", None), "__self__", None)
    return (
        handler is signal.default_int_handler
        or isinstance(owner, asyncio.Runner)
        or getattr(handler, "until_a_run", False)
    )


def _catch() -> None:
    for caught in CAUGHT:
        old = signal.getsignal(caught)
        # Ignored (nohup, a job in the background) stays ignored. None is no handler of Python's,
        # and could not be put back.
        if old is not signal.SIG_IGN and old is not None and old is not _caught:
            _before[caught] = old
            signal.signal(caught, _caught)


def _wake(loop: asyncio.AbstractEventLoop) -> None:
    """Have signals wake the loop: Python's handler runs in the main thread once that goes on.

    A signal that comes right before the loop begins to wait, or that another thread is given,
    would be seen when something else happens, which may be when the step has ended.
    """
    inner, outer = socket.socketpair()
    inner.settimeout(0)
    outer.settimeout(0)
    host = signal.set_wakeup_fd(outer.fileno(), warn_on_full_buffer=False)
    if host != -1:  # it is woken already, by `add_signal_handler`
        signal.set_wakeup_fd(host)
        inner.close()
        outer.close()
        return
    loop.add_reader(inner, _drain, inner)
    _woken.append((loop, inner, outer))


def _drain(inner: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError, InterruptedError):
        inner.recv(4096)


def _let_sleep() -> None:
    while _woken:
        loop, inner, outer = _woken.pop()
        now = signal.set_wakeup_fd(-1)
        if now not in (outer.fileno(), -1):  # the host's, from meanwhile
            signal.set_wakeup_fd(now)
        if not loop.is_closed():
            loop.remove_reader(inner)
        inner.close()
        outer.close()


def _put_back() -> None:
    for caught, old in _before.items():
        if signal.getsignal(caught) is _caught:  # or the host has changed it meanwhile
            signal.signal(caught, old)
    _before.clear()
    raised, _raised[:] = _raised[:], []
    if raised:
        raise raised[0]
