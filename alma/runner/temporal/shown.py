"""What Temporal's own pages tell of a run: names of steps, ids and kinds of outcomes."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from alma.core.run import RunStatus
from alma.core.transitions import COMPENSATED, COMPLETED

_NAMES: Final = 8
"""So many names at most: a page has room for no more, and a payload is to stay small."""


def standing(run: RunStatus, busy: Collection[str]) -> str:
    """Where it stands, in a line. `busy` are the steps that something is being done about."""
    back = run.direction == "back"
    scope = [step for step in run.steps.values() if not back or step.started is not None]
    goal = COMPENSATED if back and not run.backward_only else COMPLETED
    count = sum(step.state is goal for step in scope)
    parts = [f"{count} of {len(scope)} steps {'undone' if back else 'done'}"]
    left = (left.step for left in run.leftovers)
    waiting = (step.name for step in run.waiting)
    at_work = sorted(step for step in busy if step)  # the run's end is nobody's
    for word, names in (("at work on", at_work), ("waits for approval of", waiting)):
        if text := _listed(names):
            parts.append(f"{word} {text}")
    if run.failed_step:
        parts.append(f"{run.failed_step} failed")
    if text := _listed(left):
        parts.append(f"left: {text}")
    return f"{run.definition.target}: {run.state.name} (run {run.run}); {'; '.join(parts)}"


def _listed(names: Iterable[str]) -> str:
    known = list(dict.fromkeys(names))
    more = f" and {len(known) - _NAMES} more" if len(known) > _NAMES else ""
    return ", ".join(known[:_NAMES]) + more
