"""What an update and its undo would do, and what the undo could not bring back as it is now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from alma.core.events import IMPORTED, Failure, ResourceChange
from alma.core.operation import Difference
from alma.pulumi.engine import Checkpoint, OperationResult
from alma.steps.base import Way

AGAIN = "it can only be made again then, with a new id and without what it holds"


def what_of(now: Checkpoint) -> str:
    """What an update would be."""
    if not now.held:
        return "a new stack"
    count = len(now.resources) + len(now.pending)
    return f"update a stack of {count} resources" if count else "update a stack of outputs alone"


def planned(foreseen: OperationResult) -> tuple[ResourceChange, ...]:
    """What an update would change."""
    return tuple(one for one in foreseen.resources if one.op not in ("same", "read", "refresh"))


def held_by(now: Checkpoint) -> tuple[ResourceChange, ...]:
    """What stands in the state, and what was cut off while it was worked on."""
    return (
        *(ResourceChange(urn=one.urn, op="same", id=one.id) for one in now.resources),
        *(ResourceChange(urn=one.urn, op=one.kind, id=one.id) for one in now.pending),
    )


def undo_of(compensation: str | Callable[..., Any], now: Checkpoint) -> tuple[str, Way]:
    """How it would be undone, in words and in one."""
    if compensation == "retain":
        return "left as it is: compensation is retain", "retain"
    before = "call its compensation, then " if callable(compensation) else ""
    if now.held:
        count = len(now.resources) + len(now.pending)
        what = (
            f"the {count} resources that it holds now" if count else "the outputs that it has now"
        )
        hooks = ", ".join(now.delete_hooks)
        left = f"; what its delete hooks ({hooks}) must see deleted is left" if hooks else ""
        return f"{before}restore: put back to {what}{left}", "restore"
    return f"{before}destroy", "destroy"


def without_program(now: Checkpoint) -> Failure:
    """What a destroy lacks that has only the journal to go by."""
    return Failure(
        kind="program",
        message=f"its resources have delete hooks ({', '.join(now.delete_hooks)}), which stand in "
        "its program: without it Pulumi refuses to destroy them",
        hint="Undo it with the saga's file: `alma-pulumi rollback RUN --target FILE`.",
    )


def at_risk(foreseen: OperationResult, now: Checkpoint) -> tuple[Difference, ...]:
    """Each resource that an undo would not bring back, or would leave behind, with why.

    While the update itself is under way what it replaces is still there: the engine deletes at
    the end. So a loss is one from the step's completion on, when a later step fails.
    """
    words: dict[str, set[str]] = {}
    for change in foreseen.resources:
        words.setdefault(change.urn, set()).add(change.op)
    found = []
    for one in now.resources:
        ops = words.get(one.urn, set())
        own = one.custom and not one.external and not one.type.startswith("pulumi:providers:")
        if not own or one.retain_on_delete:
            continue  # What is let go is taken back.
        if ops & {"replace", "create-replacement", "delete-replaced"}:
            found.append(_named(one.urn, one.id, f"`up` replaces it: {AGAIN}"))
        elif "delete" in ops:
            found.append(_named(one.urn, one.id, f"`up` deletes it: {AGAIN}"))
    found += [
        _named(change.urn, change.id, "its program imports it: an undo leaves it, as `up` has it")
        for change in foreseen.resources
        if change.op == IMPORTED
    ]
    for urn, option in foreseen.lasting.items():
        reason = f"`up` makes it with {option}: an undo leaves it behind"
        found.append(_named(urn, "", reason))
    for operation in now.pending:
        reason = f"it was cut off earlier while {operation.kind}: nobody knows what it is now"
        found.append(_named(operation.urn, operation.id, reason))
    return tuple(found)


def _named(urn: str, identity: str, reason: str) -> Difference:
    return Difference(urn=urn, id=identity, reason=reason)
