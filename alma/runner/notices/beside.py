"""Notices beside a run: a thread with a journal of its own, which neither holds up nor fails it.

What it has not delivered when the run is over is left to the next command.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from msgspec.structs import replace

from alma.core import events as ev
from alma.core.notice import due
from alma.core.run import RunStatus
from alma.errors import JournalError
from alma.journal import Journal
from alma.runner.notices.delivering import Post, deliver, note_dead
from alma.runner.recorder import Reporter
from alma.runner.settings import Settings

GRACE: Final = 5.0
"""Seconds that a run waits at its end for what is being delivered."""

_BROKEN: Final = 1.0
"""Seconds until a journal is asked again that could not be read or written."""


class Notices:
    """A reporter that passes all on to another one, and wakes who delivers."""

    def __init__(self, shown: Reporter | None, settings: Settings, post: Post) -> None:
        self._shown, self._settings = shown, settings
        self._post = replace(post, enough=self._is_late)
        self._wake, self._over = threading.Event(), threading.Event()
        self._ends = 0.0
        self._thread = threading.Thread(target=self._work, name="alma notices", daemon=True)
        self._thread.start()

    def recorded(self, run: RunStatus, entry: ev.Recorded) -> None:
        """Something may be owed."""
        if due(run, entry):
            self._wake.set()
        if self._shown is not None:
            self._shown.recorded(run, entry)

    def resource(self, step: str, urn: str, op: str, done: bool) -> None:  # noqa: FBT001
        """Only shown."""
        if self._shown is not None:
            self._shown.resource(step, urn, op, done)

    def close(self) -> None:
        """Wait for what is owed, but not long; a run that is a part of another one, not at all."""
        grace = GRACE if self._settings.parent is None else 0.0
        self._ends = time.monotonic() + grace
        self._over.set()
        self._wake.set()
        self._thread.join(grace)

    def _work(self) -> None:
        # Whatever is raised here, by whoever's object: it is none of the run's business.
        try:
            with self._settings.open(write=True) as journal:
                note_dead(journal)
                self._deliver(journal)
        except BaseException as error:  # noqa: BLE001
            _say(f"notices have failed: {type(error).__name__}")

    def _deliver(self, journal: Journal) -> None:
        while True:
            self._wake.clear()
            last = self._over.is_set()
            wait: float | None = _BROKEN
            with suppress(JournalError):  # another writer, a full disk: it is tried again
                wait = asyncio.run(deliver(journal, self._post))
            if last:
                return
            self._wake.wait(wait)

    def _is_late(self) -> bool:
        return self._over.is_set() and time.monotonic() > self._ends


@contextmanager
def notified(
    run: str, shown: Reporter | None, settings: Settings, post: Post
) -> Iterator[Reporter | None]:
    """The reporter of a run, with who delivers what is owed: for it, and from before it."""
    ends_the_wait = (KeyboardInterrupt,) if settings.handle_signals else ()
    try:
        notices = Notices(shown, settings, post)
    except Exception as error:  # noqa: BLE001 - no thread can be had
        _say(f"no notices are sent: {type(error).__name__}")
        yield shown
        return
    try:
        yield notices
    finally:
        # What is waited for is journaled: a Ctrl-C ends the wait, and not the command.
        with suppress(*ends_the_wait):
            notices.close()
        if settings.parent is None:
            with suppress(Exception):
                _tell_open(run, settings)


def _tell_open(run: str, settings: Settings) -> None:
    with settings.open(write=False) as journal:
        left = journal.deliveries(run, still_open=True)
    if left:
        why = dict.fromkeys(f"{row.notifier}: {row.error or 'no answer yet'}" for row in left)
        what = "1 notice is" if len(left) == 1 else f"{len(left)} notices are"
        _say(f"{what} not delivered yet ({'; '.join(why)}): the next command tries again")


def _say(words: str) -> None:
    with suppress(OSError, ValueError):
        sys.stderr.write(f"alma: {words}\n")
