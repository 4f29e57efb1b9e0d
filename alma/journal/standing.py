"""What the journal knows of single steps: the newest run that has done something to each.

A run may leave steps out, so the newest run of a saga need not say it.
"""

from __future__ import annotations

from collections.abc import Collection

from msgspec import Struct

from alma.core.run import RunStatus, StepStatus
from alma.journal import Journal
from alma.journal.reading import load_run

_UNTOUCHED = ("nothing", "unchanged")
ITS_OWN = ("called", "undone")
"""Undone was what that run had done: what an older one has made may be there all the same."""


class Standing(Struct, frozen=True, kw_only=True):
    """A step as the newest run has left it that did something to it."""

    run: RunStatus
    step: StepStatus

    @property
    def fingerprint(self) -> str:
        """Of its state as that run has left it; empty where nobody looked."""
        if self.step.began or self.step.started is None:  # left alone, too
            return self.step.fingerprint
        return self.step.started.fingerprint


def standings(
    journal: Journal, target: str, names: Collection[str], but: Collection[str] = ()
) -> dict[str, Standing]:
    """By name; a step that no run of this target knows is not there.

    Past runs that were undone in one of the ways `but`.
    """
    found: dict[str, Standing] = {}
    for row in journal.runs(limit=None, target=target):
        if len(found) == len(set(names)):
            break
        run = load_run(journal, row.run)
        for name in names:
            step = run.steps.get(name)
            if name not in found and step is not None and touched(run, step, but):
                found[name] = Standing(run=run, step=step)
    return found


def touched(run: RunStatus, step: StepStatus, but: Collection[str]) -> bool:
    """Not where its undo has shown it to be as it was before, nor where that is one of `but`."""
    if not (step.started or step.operations or step.unchanged_since):
        return False
    return run.kind != "up" or step.how not in (*_UNTOUCHED, *but)
