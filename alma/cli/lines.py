"""The display of a run in a pipe: a line an event, each with its step's name."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from alma.cli import github
from alma.cli.output import say
from alma.core import events as ev
from alma.core.run import RunStatus
from alma.reports import report, text
from alma.reports.expiry import expires
from alma.reports.summary import is_progress, still, summarize
from alma.runner.logs import ends_of

_MINUTE: Final = 60.0
_FOLDED: Final = 500
"""Lines of an operation's log that a group holds: the last ones."""
_ENDS: Final = (ev.OperationSucceeded, ev.OperationFailed, ev.OperationLeftInDoubt)


@dataclass(slots=True)
class _Work:
    """An operation that is under way. `active`: by URN, what is done to it, and since when."""

    kind: ev.OperationKind
    log: str
    began: float
    minutes: int = 0
    active: dict[str, tuple[str, float]] = field(default_factory=dict)


class Lines:
    """A `Reporter` that prints lines such as `[12.3s] database: up started`.

    As a context manager it also says, once a minute, what takes long. With `groups`, for GitHub
    Actions, the line of an operation's end is the title of a group with its log.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, *, groups: bool = False
    ) -> None:
        self._clock = clock
        self._groups = groups
        self._began = clock()
        self._works: dict[str, _Work] = {}
        self._lock = threading.Lock()
        """Of the lines, and of what is under way: the run's thread and our own."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def recorded(self, run: RunStatus, entry: ev.Recorded) -> None:
        """Print the event, if it is one to be told of."""
        event = entry.event
        with self._lock:
            work = self._works.get(event.step)
            if isinstance(event, ev.OperationIntended):
                self._works[event.step] = _Work(event.kind, event.log, self._clock())
            elif isinstance(event, _ENDS):
                self._works.pop(event.step, None)
            if isinstance(event, ev.RunnerAttached):
                steps = report.how_many(run)
                more = (f"(run {run.run})", report.state_in(run), expires(run))
                where = ", ".join(filter(None, more))
                say(f"{run.definition.target}: {run.kind}, {steps} {where}")
            elif self._groups and work and isinstance(event, _ENDS):
                self._fold(event, work)
            elif is_progress(event):
                self._say(event.step, summarize(event))

    def resource(self, step: str, urn: str, op: str, done: bool) -> None:  # noqa: FBT001
        """Resources are many, and in the operation's log: a line only for what takes long."""
        with self._lock:
            if (work := self._works.get(step)) is None:
                return
            if done:
                work.active.pop(urn, None)
            else:
                work.active[urn] = op, self._clock()

    def tell_what_takes_long(self) -> None:
        """A line for each operation that is under way for a minute more than when last told."""
        now = self._clock()
        with self._lock:
            for step, work in self._works.items():
                minutes = int((now - work.began) // _MINUTE)
                if minutes > work.minutes:
                    work.minutes = minutes
                    active = [(urn, op, now - began) for urn, (op, began) in work.active.items()]
                    self._say(step, still(work.kind, now - work.began, active))

    def _watch(self) -> None:
        while not self._over.wait(1.0):
            with suppress(OSError):  # the run's own thread will meet it too
                self.tell_what_takes_long()

    def _say(self, step: str, words: str) -> None:
        say(self._line(step, words))

    def _line(self, step: str, words: str) -> str:
        who = f"{step}: " if step else ""
        return f"[{text.duration(self._clock() - self._began)}] {who}{words}"

    def _fold(self, event: ev.Event, work: _Work) -> None:
        github.begin_group(self._line(event.step, summarize(event)))
        say(f"took {text.duration(self._clock() - work.began)}, log: {report.short(work.log)}")
        for change in getattr(event, "resources", ()):
            if change.op != "same":
                say(f"{change.op} {text.resource(change.urn)}")
        for _, lines in ends_of(Path(work.log), _FOLDED):
            for line in lines:
                say(line)
        github.end_group()
