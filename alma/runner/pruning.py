"""Removing the snapshots that no run needs any more."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from alma.core.events import RunCreated, StepStarted
from alma.core.run import SagaState
from alma.journal.journal import Journal
from alma.journal.reading import folded
from alma.pulumi.snapshots import Snapshots, directory_of

JUST_NOW: Final = 600.0
"""Seconds in which a runner has surely journaled a snapshot that it has written."""


def prune(journal: Journal, *, keep: int = 20) -> tuple[Path, ...]:
    """Remove the snapshots that no run needs any more; the files removed.

    A run that is not over needs its own, and so does a FAILED one, which can still be rolled
    back; of the others the newest `keep` runs keep theirs. One that was written just now may
    not be in the journal yet, so it stays.
    """
    needed: set[str] = set()
    for place, row in enumerate(journal.runs(limit=None)):
        recorded = journal.events(row.run)
        state = folded(journal, recorded).state
        if place < keep or state not in (SagaState.COMPLETED, SagaState.COMPENSATED):
            happened = (entry.event for entry in recorded)
            needed.update(
                event.snapshot for event in happened if isinstance(event, RunCreated | StepStarted)
            )
    snapshots = Snapshots(directory_of(journal.path))
    unneeded = sorted(snapshots.digests(older=JUST_NOW) - needed)
    return tuple(snapshots.remove(digest) for digest in unneeded)
