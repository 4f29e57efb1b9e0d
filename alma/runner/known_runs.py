"""What else the journal knows of, for kinds of steps that must not take it for their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from alma.core.run import RunStatus
from alma.errors import AlmaError
from alma.journal.reading import load_run
from alma.runner.settings import Settings

MOST: Final = 20
"""Runs of one target that are looked at: a step that was renamed before is not remembered."""


def runs_before(settings: Settings, last: RunStatus | None) -> tuple[RunStatus, ...]:
    """The runs of its target before one that left steps out, newest first, to a whole one."""
    found: list[RunStatus] = []
    if last is None or last.is_whole:
        return ()
    with settings.open_journal(settings.where, write=False) as kept:
        rows = kept.runs(limit=None, target=last.definition.target)
        older = (row.run for row in rows if row.position < kept.run(last.run).position)
        for run_id in older:
            found.append(load_run(kept, run_id))
            if found[-1].is_whole:
                break
    return tuple(found)


def known_runs(settings: Settings) -> Callable[[], Sequence[RunStatus]]:
    """Gives the runs of all targets when it is called, newest first, as far as they can be read."""

    def read() -> Sequence[RunStatus]:
        found: list[RunStatus] = []
        seen: Counter[str] = Counter()
        with suppress(AlmaError), settings.open_journal(settings.where, write=False) as kept:
            for row in kept.runs(limit=None):
                seen[row.target] += 1
                if seen[row.target] <= MOST:
                    with suppress(AlmaError):
                        found.append(load_run(kept, row.run))
        return found

    return read
