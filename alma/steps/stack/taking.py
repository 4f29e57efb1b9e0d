"""What a step has taken over: it was there before the run, so an undo lets it go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct

from alma.core.events import Failure, Leftover
from alma.core.operation import Operation
from alma.errors import AlmaError
from alma.pulumi.engine import Checkpoint, Engine, StackRef
from alma.pulumi.snapshots import SnapshotError, Snapshots
from alma.pulumi.taken import Held, made_since, taken_over
from alma.steps.base import Outcome, StepContext
from alma.steps.stack.leftovers import StackLeftovers

Others = Callable[[], Awaitable[Sequence[Held]]]
"""What was there before, as other stacks of the journal show it."""


async def nobody() -> Sequence[Held]:
    """There are no other stacks."""
    return ()


class Taking(Struct, frozen=True, kw_only=True):
    """Finds out what one stack has taken over, and has its state let go of it."""

    name: str
    ref: StackRef
    engine: Engine
    snapshots: Snapshots | None
    others: Others

    async def let_go(self, call: StepContext, now: Checkpoint) -> tuple[Leftover, ...] | None:
        """What was taken over, each with what shows it; None when the state still holds on to it.

        Then that is recorded as the failure of the undo. A destroy that somebody asks for takes
        all that is the stack's.
        """
        if call.kind != "up":
            return ()
        taken = await self._taken(call)
        held = {(one.urn, one.id) for one in now.resources if not one.retain_on_delete}
        left = tuple(
            Leftover(
                step=self.name,
                stack=f"{self.ref.project}/{self.ref.stack}",
                urn=urn,
                id=identity,
                reason=f"it was there before this run ({why}): kept, though it may be changed",
            )
            for (urn, identity), why in taken.items()
        )
        clinging = held & taken.keys()
        if not clinging:
            return left

        async def mend(operation: Operation) -> Outcome:
            await self.engine.let_go(self.ref, clinging, operation)
            after = await self.engine.inspect(self.ref)
            kept = {(one.urn, one.id) for one in after.resources if one.retain_on_delete}
            if not clinging <= kept:
                return Outcome(failure=Failure(kind="unverified", message=_CLINGS))
            return Outcome(evidence={"fingerprint": after.fingerprint})

        if now.delete_hooks:
            # With its program the engine goes by what that says of `retainOnDelete`.
            failure: Failure | None = _hooked(sorted(urn for urn, _ in clinging))
        else:
            failure = (await call.perform("mend", mend)).failure
        if failure is None:
            return left
        lost, named = failure, StackLeftovers(name=self.name, ref=self.ref)

        async def refused(_operation: Operation) -> Outcome:
            return Outcome(failure=lost, leftovers=named.all(now, lost.message))

        started = call.status.started
        await call.perform("restore" if started and started.held else "destroy", refused)
        return None

    async def _taken(self, call: StepContext) -> dict[tuple[str, str], str]:
        document = await self.engine.export(self.ref) or {}
        deployment, started = document.get("deployment") or {}, call.status.started
        before: dict[str, object] = {}
        if started is not None and started.snapshot and self.snapshots is not None:
            try:
                kept = self.snapshots.load(started.snapshot, self.ref.project, self.ref.stack)
            except SnapshotError:
                return {}  # Nothing is put back without it, so nothing is deleted either.
            before = kept.get("deployment") or {}
        made = made_since(deployment, before)
        if not made:
            return {}
        return taken_over(
            made, deployment, (started.existed or ()) if started else (), await self.others()
        )


_CLINGS = "the state does not let go of what was there before this run"


def _hooked(urns: Sequence[str]) -> Failure:
    return Failure(
        kind="pending",
        message="the stack holds what was there before this run, and its delete hooks need its "
        "program, with which Pulumi would delete that as well",
        urn=urns[0],
        hint=f"Take it out of the state with `pulumi state delete '{urns[0]}'`, then undo again.",
    )


async def look(
    engine: Engine,
    refs: Sequence[StackRef],
    snapshots: Snapshots,
    kept: Sequence[tuple[StackRef, str]],
) -> tuple[Held, ...]:
    """What these stacks hold now, and what those held when their steps started, by digest.

    What cannot be read shows nothing.
    """
    found = []
    for ref in refs:
        try:
            document = await engine.export(ref)
        except AlmaError:
            continue
        if document is not None:
            found.append(_held(ref, document))
    for ref, digest in kept:
        try:
            found.append(_held(ref, snapshots.load(digest, ref.project, ref.stack)))
        except SnapshotError:
            continue
    return tuple(found)


def _held(ref: StackRef, document: object) -> Held:
    deployment = document.get("deployment") if isinstance(document, dict) else None
    return Held(whose=f"stack {ref.project}/{ref.stack}", deployment=deployment or {})
