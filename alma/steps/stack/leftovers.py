"""Naming what is left of a stack: what its state holds, and what it is silent about."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from alma.core.events import (
    DELETING,
    DOUBTFUL,
    IN_DOUBT,
    UNANSWERED,
    UNREADABLE,
    UPDATING,
    Failure,
    Leftover,
    ResourceChange,
)
from alma.core.operation import PendingCreate, Resolver
from alma.core.run import StepStatus
from alma.pulumi.engine import Checkpoint, PendingOperation, Resource, StackRef
from alma.steps.stack.pending import resolve


class StackLeftovers(Struct, frozen=True, kw_only=True):
    """Names what is left of one step's stack."""

    name: str
    ref: StackRef
    resolver: Resolver | None = None

    @property
    def label(self) -> str:
        """The stack, as reports call it."""
        return f"{self.ref.project}/{self.ref.stack}"

    def of(self, resources: Iterable[Resource], reason: str) -> tuple[Leftover, ...]:
        """These, for this reason."""
        return tuple(self._one(res.urn, res.id, reason) for res in resources)

    def all(self, checkpoint: Checkpoint, reason: str) -> tuple[Leftover, ...]:
        """What a state holds, and what it says of operations that were cut off."""
        pending = self.cut_off(checkpoint.pending, "it may exist")
        return (*self.of(_owned(checkpoint), reason), *pending)

    def outliving(
        self, checkpoint: Checkpoint, named: tuple[Leftover, ...]
    ) -> tuple[Leftover, ...]:
        """What a destroy lets go and does not delete; without what is `named` already."""
        known = {(one.urn, one.id) for one in named}
        kept = (res for res in checkpoint.resources if res.retain_on_delete)
        return self.of(
            (res for res in kept if (res.urn, res.id) not in known),
            "kept by its own option retainOnDelete",
        )

    def cut_off(self, pending: Iterable[PendingOperation], doubt: str) -> tuple[Leftover, ...]:
        """Operations of which the state knows no end."""
        return tuple(
            self._one(op.urn, op.id, f"its operation was cut off while {op.kind}: {doubt}")
            for op in pending
        )

    def _one(self, urn: str, id_: str, reason: str) -> Leftover:
        return Leftover(step=self.name, stack=self.label, urn=urn, id=id_, reason=reason)

    def changed(self, status: StepStatus, now: Checkpoint, reason: str) -> tuple[Leftover, ...]:
        """What this run touched in a stack that was there before; the stack itself if unknown."""
        changed = tuple(
            self._one(change.urn, change.id, f"{change.op} by this run; {reason}")
            for change in status.resources
            if change.op not in ("same", "read", "refresh")
        )
        pending = tuple(item for item in self.all(now, reason) if "cut off" in item.reason)
        known = bool(changed or pending) and not status.unobserved
        return (*changed, *pending) if known else (*changed, *pending, self.whole(reason))

    def whole(self, reason: str) -> Leftover:
        """The stack itself."""
        return Leftover(step=self.name, stack=self.label, reason=reason)

    def unseen(self, status: StepStatus) -> tuple[Leftover, ...]:
        """Updates and deletes whose answer nobody saw, and that no later one has repeated.

        The state shows what was before them, so that a restore finds nothing to do.
        """
        reasons = {
            DELETING: "the answer to its delete was lost: it may be gone",
            UPDATING: "the answer to its update was lost: it may not be as before",
        }
        open_: dict[str, ResourceChange] = {}
        for change in status.resources:
            if change.op in reasons:
                open_[change.urn] = change
            elif change.op not in DOUBTFUL:
                open_.pop(change.urn, None)
        return tuple(self._one(one.urn, one.id, reasons[one.op]) for one in open_.values())

    async def lost(self, status: StepStatus) -> tuple[Leftover, ...]:
        """Creates whose end nobody saw: the state is silent about them, so they are named."""
        lost = {change.urn: change.op for change in status.resources if change.op in DOUBTFUL}
        creates = [
            PendingCreate(urn=urn, type=types.rpartition("$")[2], name=name)
            for urn in lost
            for _, _, types, name in [urn.split("::", 3)]
        ]
        answers = await resolve(self.resolver, creates) if self.resolver else {}
        known = {} if isinstance(answers, Failure) else answers
        reasons = {
            IN_DOUBT: "its provider was lost while it was being created: it may exist",
            UNANSWERED: "the answer to its create never came: it may exist",
            UNREADABLE: "its provider made it, but the answer could not be taken: it may exist",
        }
        return tuple(
            self._one(
                create.urn,
                known.get(create.urn) or "",
                reasons[lost[create.urn]]
                if known.get(create.urn) is None
                else "it was created after all",
            )
            for create in creates
            if create.urn not in known or known[create.urn] is not None
        )


def _owned(checkpoint: Checkpoint) -> tuple[Resource, ...]:
    """Resources that really exist at a provider; where there are none, whatever is there.

    With a pending create it is that, and what the state must keep for it.
    """
    real = tuple(
        res
        for res in checkpoint.resources
        if res.custom and not res.external and not res.type.startswith("pulumi:providers:")
    )
    return real if real or checkpoint.pending else checkpoint.resources


def unverified(checkpoint: Checkpoint) -> Failure:
    """A destroy that said it had succeeded, and had not."""
    return Failure(
        kind="unverified",
        message=(
            f"destroy succeeded, but the state still shows {len(checkpoint.resources)} resources "
            f"and {len(checkpoint.pending)} pending operations"
        ),
        hint="Look at the stack's pending operations, then `alma-pulumi rollback` again. Where its "
        "step has a resolver, that needs the saga's file with --target.",
    )
