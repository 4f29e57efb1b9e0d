"""Looking at a run's journal while others write it, for a display that shows it as it goes."""

from __future__ import annotations

import sys
from contextlib import suppress

from alma.core.run import RunStatus
from alma.core.state import apply
from alma.errors import RunNotFoundError
from alma.journal import Journal
from alma.journal.reading import load_run
from alma.runner.recorder import Reporter


class Followed:
    """A run, as far as it was read. `begun`: there is something of it to be read.

    What was there `before` is not told again.
    """

    def __init__(
        self, journal: Journal, run: str, before: RunStatus | None, reporter: Reporter | None
    ) -> None:
        self.name = run
        self.run = load_run(journal, run) if before is not None else RunStatus()
        self._since = self.run.seq
        self._journal, self._reporter = journal, reporter

    @property
    def begun(self) -> bool:
        """Whether the journal has it."""
        return bool(self.run.run)

    @property
    def moved(self) -> bool:
        """Whether anything was written since who follows it came."""
        return self.run.seq > self._since

    @property
    def over(self) -> bool:
        """Whether it has ended since, or stopped in order."""
        return self.moved and (self.run.state.is_final or self.run.suspended)

    def look(self) -> None:
        """Read what is new, and tell of it."""
        try:
            target = self._journal.run(self.name).target
        except RunNotFoundError:
            return
        if self._journal.place(self.name, target).seq == self.run.seq:
            return
        for entry in self._journal.events(self.name, after=self.run.seq):
            apply(self.run, entry)
            if self._reporter is not None:
                self._reporter.recorded(self.run, entry)

    def say(self, words: str) -> None:
        """For whoever waits."""
        with suppress(OSError, ValueError):
            sys.stderr.write(f"note: {words}\n")
            sys.stderr.flush()
