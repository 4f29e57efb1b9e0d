"""What `reap` has found expired, and what became of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct, to_builtins

from alma.core.events import Leftover
from alma.reports import text
from alma.reports.report import leftovers
from alma.runner.reap import Due


class Reaped(Struct, kw_only=True):
    """One target. `outcome` is None where nothing was to be done (`--preview-only`)."""

    due: Due
    outcome: str | None = None
    """`destroyed`, `rolled back`, `skipped` (somebody is at work on it) or `left`."""
    why: str = ""
    hint: str = ""
    runs: list[str] = []
    left: tuple[Leftover, ...] = ()


def before(found: Sequence[Due]) -> list[str]:
    """What has expired, and what would be done to it."""
    rows = [
        (due.target, text.moment(due.expired_at), due.run.run, due.run.state.name, _plan(due))
        for due in found
    ]
    return text.table(("SAGA", "EXPIRED", "RUN", "STATE", "THEN"), rows)


def details(found: Sequence[Due]) -> list[str]:
    """The steps of each that are there."""
    return [f"{due.target}: {', '.join(map(text.name, due.steps)) or 'no step'}" for due in found]


def _plan(due: Due) -> str:
    if due.busy:
        return f"nothing: {due.why}"
    match due.way:
        case "rollback":
            return f"roll run {due.run.run} back"
        case "resume":
            return f"go on with the destroy {due.newest.run}"
        case "destroy":
            return f"destroy {text.count(len(due.steps), 'step')}"
    return f"nothing: {text.one_line(due.why)}"


def after(found: Sequence[Reaped]) -> list[str]:
    """How each has ended, a line each; of what is left all that is known."""
    lines = []
    for one in found:
        by = f" (run {', '.join(one.runs)})" if one.runs else ""
        why = f": {text.one_line(one.why, 400)}" if one.why else ""
        lines.append(f"{text.name(one.due.target)}: {one.outcome}{by}{why}")
        lines += [f"  hint: {text.one_line(one.hint, 400)}"] if one.hint else []
        lines += leftovers(one.left)
    return lines


def document(found: Sequence[Reaped], exit_code: int) -> dict[str, Any]:
    """Of `--json`."""
    return {"reaped": [_one(each) for each in found], "exit_code": exit_code}


def _one(one: Reaped) -> dict[str, Any]:
    due = one.due
    return {
        "saga": due.run.definition.saga,
        "stack": due.run.definition.stack,
        "organization": due.run.definition.organization,
        "expired_run": due.run.run,
        "expired_at": due.expired_at.isoformat(),
        "state": due.run.state.name,
        "steps": list(due.steps),
        "way": due.way,
        "outcome": one.outcome,
        "runs": list(one.runs),
        "leftovers": [to_builtins(left) for left in one.left],
        "error": (one.why or due.why) or None,
        "hint": (one.hint or due.hint) or None,
    }
