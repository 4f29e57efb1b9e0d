"""Leftovers of a run, and which of them a later run has proven gone. Writes nothing."""

from __future__ import annotations

from alma.core.events import DOUBTFUL, Leftover
from alma.core.run import RunStatus
from alma.journal.journal import Journal
from alma.journal.reading import folded

PROOFS = frozenset({"destroyed", "nothing", "called"})
"""How a later run's undo ends that leaves nothing of its step."""


def proven_gone(journal: Journal, run: RunStatus) -> dict[Leftover, str]:
    """The leftovers that are gone, each with the id of the later run that has seen it.

    Proof is a verified undo of the same stack (or, for an action, of the same step) by a later
    run of the same target. What a state cannot show is never proven by one: a resource that
    outlives its destroy by its own option, or a create whose provider was lost.
    """
    open_ = [left for left in run.leftovers if not _beyond_the_state(run, left)]
    gone: dict[Leftover, str] = {}
    if not open_:
        return gone
    position = journal.run(run.run).position
    for row in reversed(journal.runs(limit=None, target=run.plan.target)):
        if row.position <= position or len(gone) == len(open_):
            continue
        later = folded(journal, journal.events(row.run))
        proven = {_place(later, step.name) for step in later.steps.values() if step.how in PROOFS}
        for left in open_:
            if left not in gone and (left.stack or left.step) in proven:
                gone[left] = later.run
    return gone


def _place(run: RunStatus, name: str) -> str:
    project = run.plan.step(name).project
    return f"{project}/{run.plan.stack}" if project else name


def _beyond_the_state(run: RunStatus, left: Leftover) -> bool:
    step = run.steps.get(left.step)
    if step is None:
        return True
    lost = any(change.op in DOUBTFUL and change.urn == left.urn for change in step.resources)
    return lost or any(kept.urn == left.urn for kept in step.keeps)
