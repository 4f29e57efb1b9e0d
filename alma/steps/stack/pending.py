"""Creates that were cut off: asking the step's resolver what became of them."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from alma.core.events import IN_DOUBT, UNANSWERED, UNREADABLE, Failure
from alma.core.operation import Operation, PendingCreate, Resolver
from alma.errors import RefusedError
from alma.pulumi.deployment import CREATING
from alma.pulumi.engine import Checkpoint, Engine, OperationResult, PendingOperation, StackRef
from alma.steps.base import Outcome, StepContext

_NOT_REPEATED = {
    IN_DOUBT: "The provider was lost: it may exist.",
    UNREADABLE: "It was made, but the provider's answer cannot be taken: mend what it returns.",
}
"""Trying these creates again could make them a second time."""
_ANSWERED = (UNANSWERED, UNREADABLE)
"""Doubts about creates whose provider lives: it may have told the engine of them all the same."""


def creates_in(checkpoint: Checkpoint) -> tuple[PendingOperation, ...]:
    """The pending creates: what they made, if anything, has no id in the state."""
    return tuple(operation for operation in checkpoint.pending if operation.kind == CREATING)


def require_cut_off(ref: StackRef, creates: Sequence[PendingOperation], holder: str) -> None:
    """Raise `RefusedError` when the stack's lock has a holder: its creates are under way."""
    if holder:
        names = ", ".join(create.name for create in creates)
        raise RefusedError(
            f"Stack {ref.project}/{ref.stack} is locked by {holder}, who is at work on it: "
            f"{names} is being created.",
            hint="Wait for it to end, then go on. If it is known to be dead where it ran, say so "
            "with `--host-is-gone --reason ...` where that was another host, or "
            f"`pulumi cancel --stack {ref.qualified}` in its project removes its lock.",
        )


async def clear_pending(
    call: StepContext, engine: Engine, ref: StackRef, resolver: Resolver | None
) -> tuple[PendingOperation, ...]:
    """Resolve the pending creates and mend the state; returns those that remain."""
    creates = creates_in(await engine.inspect(ref))
    if creates:
        require_cut_off(ref, creates, await engine.holder(ref))
    if not creates or resolver is None:
        return creates

    async def mend(operation: Operation) -> Outcome:
        answers = await resolve(resolver, map(described, creates))
        if isinstance(answers, Failure):
            return Outcome(failure=answers)
        found = {urn: id_ for urn, id_ in answers.items() if id_}
        await engine.resolve_pending(ref, found, operation)
        return Outcome(evidence=evidence(answers))

    await call.perform("mend", mend)
    return creates_in(await engine.inspect(ref))


async def resolve(
    resolver: Resolver, creates: Iterable[PendingCreate]
) -> dict[str, str | None] | Failure:
    """By URN the physical id, or None for one that does not exist; a Failure when not all is told.

    A plain function is called in a thread.
    """
    answers: dict[str, str | None] = {}
    for create in creates:
        try:
            if inspect.iscoroutinefunction(resolver):
                answer = await resolver(create)
            else:
                answer = await asyncio.to_thread(resolver, create)
        except Exception as error:  # noqa: BLE001 - a user's function: whatever it raises, it did not tell
            return Failure(
                kind="pending",
                message=f"the resolver failed for {create.name}: {type(error).__name__}: {error}",
                urn=create.urn,
            )
        if answer is not None and not (isinstance(answer, str) and answer):
            return Failure(
                kind="pending",
                message=f"the resolver returned {answer!r} for {create.name}: "
                "it must return the physical id, or None for what does not exist",
                urn=create.urn,
            )
        answers[create.urn] = answer
    return answers


def described(operation: PendingOperation) -> PendingCreate:
    """What the resolver is asked about."""
    return PendingCreate(
        urn=operation.urn, type=operation.type, name=operation.name, inputs=operation.inputs
    )


def evidence(answers: Mapping[str, str | None]) -> dict[str, Any]:
    """What was told, for the journal."""
    return {urn: answer or "does not exist" for urn, answer in answers.items()}


def unresolved(creates: tuple[PendingOperation, ...]) -> Failure:
    """Nobody can say what became of these: going on could make them twice."""
    names = ", ".join(create.name for create in creates)
    return Failure(
        kind="pending",
        message=f"the stack's state has a create that was cut off: {names} may exist or not",
        urn=creates[0].urn,
        hint="Give the step a resolver that finds its physical id, and the run its saga's file "
        "with --target; or look at the provider, then mend the state with `pulumi stack export`, "
        "an edit, and `pulumi stack import`.",
    )


def outcome_of(result: OperationResult) -> Outcome:
    """Of an `up`; one that would be tried again is not where a create is in doubt."""
    failure = result.failure
    doubts = {change.op for change in result.resources}
    if failure is not None and doubts & _NOT_REPEATED.keys():
        hint = next(hint for op, hint in _NOT_REPEATED.items() if op in doubts)
        failure = replace(failure, kind="pending", hint=hint)
    return Outcome(
        failure=failure,
        changes=result.changes,
        resources=result.resources,
        outputs=result.outputs,
        evidence={"warnings": list(result.warnings)} if result.warnings else {},
        began=result.began,
    )


async def recorded(
    engine: Engine, ref: StackRef, result: OperationResult, before: Checkpoint
) -> OperationResult:
    """Without doubts about what the state knows all the same: a destroy deletes that."""
    if not any(change.op in _ANSWERED for change in result.resources):
        return result
    now = await engine.inspect(ref)
    new = {one.urn for one in now.resources} - {one.urn for one in before.resources}
    resources = tuple(
        change for change in result.resources if change.op not in _ANSWERED or change.urn not in new
    )
    return replace(result, resources=resources)
