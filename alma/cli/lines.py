"""The display of a run in a pipe: one plain line for each event that says something."""

from __future__ import annotations

import time
from collections.abc import Callable

from alma.cli.output import say
from alma.core import events as ev
from alma.core.run import RunStatus
from alma.reports import text as words
from alma.reports.summary import is_progress, summarize


class Lines:
    """A `Reporter` that prints lines such as `[12.3s] database: up started`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()

    def recorded(self, run: RunStatus, entry: ev.Recorded) -> None:
        """Print the event, if it is one to be told of."""
        event = entry.event
        if isinstance(event, ev.RunnerAttached):
            steps = words.count(len(run.steps), "step")
            say(f"{run.plan.target}: {run.kind}, {steps} (run {run.run})")
        elif is_progress(event):
            who = f"{event.step}: " if event.step else ""
            say(f"[{words.duration(self._clock() - self._began)}] {who}{summarize(event)}")

    def resource(self, step: str, urn: str, op: str, done: bool) -> None:  # noqa: FBT001
        """Resources are many, and in the operation's log: no line for each."""
