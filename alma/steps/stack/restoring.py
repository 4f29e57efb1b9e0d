"""Undoing a step on a stack that was there before: it is put back, never destroyed."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from alma.core.events import Failure, Leftover
from alma.core.operation import Operation
from alma.errors import AlmaError, AuthenticationError, RefusedError
from alma.pulumi.engine import Checkpoint, Engine, RestoreRequest, RestoreResult, StackRef
from alma.pulumi.snapshots import SnapshotError, Snapshots
from alma.steps.base import Compensated, Outcome, StepContext
from alma.steps.stack.leftovers import StackLeftovers
from alma.steps.stack.pending import recorded

SOMEBODY_ELSE = "it was changed by somebody else after this run's last operation on it"


class Restoring(Struct, frozen=True, kw_only=True):
    """Puts one stack back to the snapshot that was taken when its step started."""

    name: str
    ref: StackRef
    engine: Engine
    snapshots: Snapshots | None

    async def keep(self, now: Checkpoint) -> str:
        """Take the snapshot of a stack that holds something; its digest, or empty.

        Raises `SnapshotError` when it cannot be kept: then nothing may be changed.
        """
        if self.snapshots is None or not now.held:
            return ""
        document = await self.engine.export(self.ref)
        return self.snapshots.keep(self.ref.project, self.ref.stack, document or {})

    def refusal(self, call: StepContext, now: Checkpoint) -> str:
        """Why the stack cannot be put back; empty when it can."""
        if call.status.fingerprint and call.status.fingerprint != now.fingerprint:
            return SOMEBODY_ELSE
        try:
            self.load(call.snapshot)
        except SnapshotError as error:
            return error.message
        return ""

    def let_go(self, document: Any, now: Checkpoint) -> tuple[Leftover, ...]:
        """What was made since and a restore will let go, not delete, by its own option."""
        deployment = document.get("deployment") or {}
        known = {(entry["type"], entry.get("id")) for entry in deployment.get("resources") or []}
        made = (
            one
            for one in now.resources
            if one.retain_on_delete and not one.external and (one.type, one.id) not in known
        )
        left = StackLeftovers(name=self.name, ref=self.ref)
        return left.of(made, "made since, and kept by its own option retainOnDelete")

    async def restore(
        self, call: StepContext, named: tuple[Leftover, ...], cut: tuple[Leftover, ...]
    ) -> Compensated | None:
        """Put it back and verify it; None when that failed, which is recorded then.

        `named` is what this run had changed: the leftovers where nothing could be done at all.
        `cut` is what its state cannot tell about any more, once it is restored, and what was
        there before this run: like what is let go, it is in the journal before that.
        """
        document = self.load(call.snapshot)
        now = await self.engine.inspect(self.ref)

        async def work(operation: Operation) -> Outcome:
            logs = call.logs(operation)
            request = RestoreRequest(ref=self.ref, document=document, log_dir=logs)
            try:
                result = await self.engine.restore(request, operation)
            except RefusedError:
                raise
            except AlmaError as error:
                kind = "passphrase" if isinstance(error, AuthenticationError) else "backend"
                lost = Failure(kind=kind, message=error.message, hint=error.hint)
                return Outcome(failure=lost, leftovers=named)
            after = await self.engine.inspect(self.ref)
            known = await recorded(self.engine, self.ref, result, now)
            failure = result.failure or _pending(after)
            return Outcome(
                failure=failure,
                changes=result.changes,
                resources=known.resources,
                evidence=_evidence(call.snapshot, result, after),
                leftovers=self._leftovers(result, after) if failure else (),
            )

        named_already = {(one.urn, one.id) for one in cut}
        let_go = self.let_go(document, now)
        keeps = (*cut, *(one for one in let_go if (one.urn, one.id) not in named_already))
        outcome = await call.perform("restore", work, keeps=keeps)
        if outcome.failure is not None:
            return None
        return Compensated(how="restored", evidence=outcome.evidence)

    def load(self, digest: str) -> Any:
        """The kept deployment; `SnapshotError` says why there is none."""
        kept = self.snapshots
        if kept is None or not digest:
            raise SnapshotError("no snapshot of it was kept when the step started")
        return kept.load(digest, self.ref.project, self.ref.stack)

    def _leftovers(self, result: RestoreResult, after: Checkpoint) -> tuple[Leftover, ...]:
        left = StackLeftovers(name=self.name, ref=self.ref)
        unlike = tuple(
            Leftover(step=self.name, stack=left.label, urn=one.urn, id=one.id, reason=one.reason)
            for one in result.different
        )
        pending = left.cut_off(after.pending, "it may exist")
        return (*unlike, *pending) or (left.whole("it could not be put back"),)


def _evidence(snapshot: str, result: RestoreResult, after: Checkpoint) -> dict[str, Any]:
    return {
        "snapshot": snapshot,
        "fingerprint": after.fingerprint,
        "renewed": [
            {"urn": one.urn, "id": one.id, "reason": one.reason} for one in result.recreated
        ],
    }


def _pending(after: Checkpoint) -> Failure | None:
    if not after.pending:
        return None
    return Failure(
        kind="pending",
        message=f"the stack is as before, but for {len(after.pending)} operations that were cut "
        "off: what they made may exist",
        urn=after.pending[0].urn,
        hint="Look at the provider, then mend the state, or give the step a resolver.",
    )
