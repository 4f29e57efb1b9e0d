"""A step that is a Pulumi stack: brought up, destroyed, and judged by its state alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from msgspec.structs import replace

from alma.core.events import Failure, Leftover, StepStarted
from alma.core.operation import Operation, Reconciled, Resolver
from alma.core.run import OpenOperation, StepStatus
from alma.errors import BackendError, RefusedError
from alma.pulumi.engine import Checkpoint
from alma.pulumi.snapshots import Snapshots
from alma.pulumi.taken import digest_of
from alma.steps.base import Compensated, Outcome, Retained, StepContext
from alma.steps.callables import ask_existed, call_compensation
from alma.steps.stack.foreseen import ForeseenStack
from alma.steps.stack.leftovers import StackLeftovers, unverified
from alma.steps.stack.pending import (
    clear_pending,
    creates_in,
    outcome_of,
    recorded,
    unresolved,
)
from alma.steps.stack.preview import without_program
from alma.steps.stack.reach import kept_elsewhere
from alma.steps.stack.restoring import Restoring
from alma.steps.stack.taking import Others, Taking, nobody


class StackHandler(ForeseenStack, kw_only=True):
    """`program` is already shipped; None for a `work_dir` project, or when only undoing."""

    resolver: Resolver | None = None
    sees: Callable[..., Any] | None = None
    """The step's `existed`."""
    others: Others = nobody
    digest: str = ""
    lacks: str = ""
    keeps_outputs: ClassVar[bool] = True
    snapshots: Snapshots | None = None
    """Where it keeps what the stack was."""
    _found: Checkpoint | None = None
    """What the step's start has just seen, until its first attempt takes it: each look is a process
    or some requests where the state is in no directory."""

    async def require(self) -> None:
        """The session has looked at all stacks together."""

    async def inspect(self) -> StepStarted:
        """Read the state; no process on a file backend."""
        self._found = checkpoint = await self.engine.inspect(self.ref)
        snapshot = await self._restoring.keep(checkpoint)
        return StepStarted(
            step=self.name,
            project=self.ref.project,
            stack=self.ref.stack,
            record_existed=checkpoint.exists,
            held=checkpoint.held,
            fingerprint=checkpoint.fingerprint,
            snapshot=snapshot,
        )

    async def existed(self, call: StepContext) -> tuple[str, ...]:
        """What the step's own function sees there."""
        if self.sees is None:
            return ()
        self._found = None  # a function of the user's may take its time
        return tuple(digest_of(one) for one in await ask_existed(self.sees, call))

    async def execute(self, call: StepContext) -> None:
        """`pulumi up`; the record is made first when there is none."""
        refused: Failure | None = None
        found, self._found = self._found, None
        if found is not None and creates_in(found):
            found = None
        try:
            if found is None and (
                doubtful := await clear_pending(call, self.engine, self.ref, self.resolver)
            ):
                refused = unresolved(doubtful)
        except RefusedError as error:
            refused = Failure(kind="locked", message=error.message, hint=error.hint)

        async def up(operation: Operation) -> Outcome:
            if refused is not None:
                return Outcome(failure=refused)
            inputs, before = await call.inputs(), found or await self.engine.inspect(self.ref)
            request = self._request(inputs, before, call.logs(operation))
            result = await self.engine.up(replace(request, refresh=call.repair), operation)
            outcome, left = (
                outcome_of(await recorded(self.engine, self.ref, result, before)),
                result.fingerprint,
            )
            if not left and call.status.started and call.status.started.held:
                left = (await self.engine.inspect(self.ref)).fingerprint
            if not left:
                return outcome
            return replace(outcome, evidence={**outcome.evidence, "fingerprint": left})

        await call.perform("up", up)

    async def compensate(self, call: StepContext) -> Compensated | Retained | None:
        """Destroy from the state; put back what was there before this run; verify either."""
        status = call.status
        if call.kind == "restore":
            return await self._put_back(call)
        before = await self.engine.inspect(self.ref)
        if call.kind == "up":
            kept = await self._not_ours(call, before) or self._vanished(status, before)
            if kept is not None:
                return kept
            if callable(self.compensation) and not await call_compensation(call, self.compensation):
                return None
            if status.started and status.started.held:
                return await self._put_back(call)
        if creates_in(before):
            await clear_pending(call, self.engine, self.ref, self.resolver)
            before = await self.engine.inspect(self.ref)
        return await self._take_down(call, before)

    async def _take_down(
        self, call: StepContext, before: Checkpoint
    ) -> Compensated | Retained | None:
        status, taken = call.status, await self._taking.let_go(call, before)
        if taken is None:
            return None
        keeps = (*taken, *self._left.outliving(before, taken))
        if not before.is_empty and not await self._destroy(call, keeps, before):
            return None
        started = status.started
        ours = started is not None and not started.record_existed
        remove = call.remove_record if call.kind == "destroy" else ours
        if remove and before.exists and not await self._remove(call):
            return None
        keeps = (*dict.fromkeys((*status.keeps, *keeps)), *await self._left.lost(status))
        if keeps:
            return Retained(reason=keeps[0].reason, leftovers=keeps)
        record = "none" if not before.exists else "removed" if remove else "kept"
        return Compensated(
            how="destroyed" if status.destroyed else "nothing",
            evidence={"resources": 0, "pending": 0, "record": record},
        )

    async def reveal_outputs(self, call: StepContext) -> Mapping[str, Any]:  # noqa: ARG002 - no operation needed
        """Decrypt the outputs in the state."""
        return await self.engine.reveal(self.ref)

    async def leftovers(self, status: StepStatus, reason: str) -> tuple[Leftover, ...]:
        """Every resource and pending operation in the state, and what it is silent about."""
        checkpoint = await self.engine.inspect(self.ref)
        return (*self._left.all(checkpoint, reason), *status.keeps, *await self._left.lost(status))

    async def reconcile(self, operation: OpenOperation) -> Reconciled:
        """Wait for the CLI, mend a lock whose holder is dead, and note what it has left."""
        found = await self.engine.reconcile(
            self.ref, operation.id, operation.processes, operation.gone
        )
        try:
            left = (await self.engine.inspect(self.ref)).fingerprint
        except BackendError:
            return found  # Whoever needs the state next will say that it cannot be read.
        return replace(found, evidence={**found.evidence, "fingerprint": left})

    def _vanished(self, status: StepStatus, now: Checkpoint) -> Retained | None:
        """A record that is gone before this run destroyed the stack proves nothing."""
        if now.exists or status.destroyed:
            return None
        elsewhere = kept_elsewhere(self.engine.where(self.ref), status.hosts)
        if not status.resources and not elsewhere:
            return None
        reason = "the stack's record is gone from the backend, so nobody can see what is left"
        if elsewhere:
            reason = f"its state is in a directory of {elsewhere}, so nobody can see what is left"
        return Retained(reason=reason, leftovers=self._left.changed(status, now, reason))

    async def _not_ours(self, call: StepContext, now: Checkpoint) -> Compensated | Retained | None:
        status, started = call.status, call.status.started
        held = started.held if started else 0
        if not held and self.compensation != "retain":
            return None
        lost = await self._left.lost(status)
        unseen = self._left.unseen(status)
        if held and started and now.fingerprint == started.fingerprint and not (lost or unseen):
            return Compensated(how="unchanged", evidence={"fingerprint": now.fingerprint})
        if held and self.compensation != "retain":
            why = self._restoring.refusal(call, now)
            if not why and now.exists:
                return None
            reason = (
                "the stack was there before this run, which changed it, and is left as it is: "
                f"{why or 'its record is gone from the backend'}"
            )
            return Retained(reason=reason, leftovers=self._left.changed(status, now, reason))
        if held:
            reason = "the step asks for it: compensation is retain"
            return Retained(reason=reason, leftovers=self._left.changed(status, now, reason))
        if now.is_empty and not lost:
            return Compensated(how="nothing", evidence={"resources": 0, "pending": 0})
        reason = "the step asks for it: compensation is retain"
        return Retained(reason=reason, leftovers=(*self._left.all(now, reason), *lost))

    async def _put_back(self, call: StepContext) -> Compensated | Retained | None:
        """Restore what the stack was; what nobody saw the end of is named.

        A delete or an update that was cut off may have taken effect: the state still shows what
        it was, so a restore finds nothing to do.
        """
        await clear_pending(call, self.engine, self.ref, self.resolver)
        now = await self.engine.inspect(self.ref)
        taken = await self._taking.let_go(call, now)
        if taken is None:
            return None
        why = "this run changed it, and it is not put back"
        if call.kind == "restore":
            why = "it was not put back"
        changed = self._left.changed(call.status, now, why)
        creates = creates_in(now)
        cut = self._left.cut_off(
            (operation for operation in now.pending if operation not in creates),
            "it may not be as before",
        )
        if call.kind == "up":
            cut = (*cut, *self._left.unseen(call.status))
        undone = await self._restoring.restore(call, changed, (*taken, *cut))
        lost = (*call.status.keeps, *await self._left.lost(call.status))
        if undone is None or not lost:
            return undone
        return Retained(reason=lost[0].reason, leftovers=lost)

    @property
    def _left(self) -> StackLeftovers:
        return StackLeftovers(name=self.name, ref=self.ref, resolver=self.resolver)

    @property
    def _taking(self) -> Taking:
        return Taking(
            name=self.name,
            ref=self.ref,
            engine=self.engine,
            snapshots=self.snapshots,
            others=self.others,
        )

    @property
    def _restoring(self) -> Restoring:
        return Restoring(name=self.name, ref=self.ref, engine=self.engine, snapshots=self.snapshots)

    async def _destroy(
        self, call: StepContext, keeps: tuple[Leftover, ...], before: Checkpoint
    ) -> bool:
        async def destroy(operation: Operation) -> Outcome:
            logs, program = call.logs(operation), None
            if before.delete_hooks:
                # From the first attempt: a destroy that was refused for want of it may go on to
                # fail with it (pulumi/pulumi#23921).
                if not self.digest:  # bound from the journal alone
                    failure = without_program(before)
                    return Outcome(
                        failure=failure, leftovers=self._left.all(before, failure.message)
                    )
                program = self._request(await call.inputs(), before, logs)
            result = await self.engine.destroy(self.ref, logs, operation, program)
            after = await self.engine.inspect(self.ref)
            if after.is_empty:
                # The state decides, not the exit code: a destroy can fail after its last delete.
                return Outcome(
                    changes=result.changes,
                    resources=result.resources,
                    evidence={"resources": 0, "pending": 0, "fingerprint": after.fingerprint},
                )
            failure = result.failure or unverified(after)
            leftovers = self._left.all(after, failure.message)
            return Outcome(
                failure=failure,
                changes=result.changes,
                resources=result.resources,
                leftovers=leftovers,
            )

        return (await call.perform("destroy", destroy, keeps=keeps)).failure is None

    async def _remove(self, call: StepContext) -> bool:
        async def remove(operation: Operation) -> Outcome:
            result = await self.engine.remove(self.ref, call.logs(operation), operation)
            if not (await self.engine.inspect(self.ref)).exists:
                return Outcome(evidence={"record": "removed"})
            failure = result.failure or Failure(
                kind="unverified", message="the stack's record is still in the backend"
            )
            left = Leftover(
                step=self.name, stack=self._left.label, reason=f"empty record: {failure.message}"
            )
            return Outcome(failure=failure, leftovers=(left,))

        return (await call.perform("remove", remove)).failure is None
