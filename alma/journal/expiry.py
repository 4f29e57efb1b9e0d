"""When what the runs of a target have left expires.

The newest run that was not undone says it: what a run says of it is undone with the run.
"""

from __future__ import annotations

from msgspec import Struct

from alma.core.run import RunStatus, SagaState
from alma.journal import Journal
from alma.journal.reading import is_the_end, runs_of


class Expiring(Struct, frozen=True, kw_only=True):
    """What is there of a target: `run` has said when it expires, `newest` came last."""

    run: RunStatus
    newest: RunStatus


def expiring(journal: Journal, target: str) -> Expiring | None:
    """None where nothing is there, where it stays, and where it is a part of another saga's run."""
    newest: RunStatus | None = None
    for run in runs_of(journal, target):
        newest = newest or run
        if is_the_end(run):
            return None
        if run.kind == "up" and run.state is not SagaState.COMPENSATED:
            if run.parent is not None or run.expires_at is None:
                return None
            return Expiring(run=run, newest=newest)
    return None
