"""A step that is a CloudFormation stack: changed by change sets, judged by what the service shows.

A stack is known by its id (its ARN). One of the same name that has another id is somebody else's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from alma.core.events import Failure, Leftover, StepStarted
from alma.core.operation import Operation, Reconciled
from alma.core.redaction import mark_secrets
from alma.core.run import OpenOperation, StepStatus
from alma.core.secret import Secret, secrets_in
from alma.errors import BackendError, RefusedError
from alma.steps.base import Compensated, Outcome, Retained, StepContext
from alma.steps.cloudformation import before as earlier
from alma.steps.cloudformation import stacks
from alma.steps.cloudformation.changing import Change, counted, request_of, told
from alma.steps.cloudformation.gone import left_of
from alma.steps.cloudformation.seen import SeenStack
from alma.steps.cloudformation.stacks import STANDING, UNMADE, Stack, id_of
from alma.steps.cloudformation.template import as_secrets, shown_secret
from alma.steps.cloudformation.undoing import Undoing


@dataclass(kw_only=True)
class CloudFormationHandler(SeenStack):
    """`inputs` are all its parameters; `hidden` those of them that CloudFormation shows nobody."""

    owned: Callable[[str], Any] | None = None
    """Raises RefusedError where the stack with this id is another saga's."""
    validate: bool = False
    digest: str = ""
    lacks: str = ""
    keeps_outputs: ClassVar[bool] = True

    async def require(self) -> None:
        """boto3 and a region are here; CloudFormation takes the template."""
        self.service.open()
        if self.template is not None and self.validate:
            await self._check_template()

    async def inspect(self) -> StepStarted:
        """What stands there, and all that is needed to put it back."""
        now = await stacks.look(self.service, self.stack)
        if now is None:
            return StepStarted(step=self.name)
        if now.status not in STANDING:
            await self._require_nothing(now)
            return StepStarted(step=self.name, fingerprint=now.fingerprint)
        if self.owned is not None:
            await self.owned(now.id)
        held = await stacks.resources(self.service, now.id)
        before = await earlier.read(self.service, now)
        return StepStarted(
            step=self.name,
            record_existed=True,
            held=len(held),
            fingerprint=now.fingerprint,
            snapshot=earlier.keep(self.snapshots, before) if self.snapshots else "",
        )

    async def execute(self, call: StepContext) -> None:
        """A change set, executed; its outputs."""

        async def up(operation: Operation) -> Outcome:
            change = Change(self.service, operation, Path(call.logs(operation)))
            values = as_secrets(self._declared, await call.inputs())
            operation.redact.learn(values)
            if name := shown_secret(self._declared, values):
                words = f'the parameter "{name}" is given a secret, and would be shown'
                hint = "Declare it with NoEcho in the template."
                return Outcome(
                    failure=Failure(kind="refused", message=words, hint=hint), began=False
                )
            now = await self._own(call)
            if isinstance(now, Failure):
                return Outcome(failure=now, began=False)
            if now is not None:
                now = await change.settled(now)
                if change.stopped is not None:
                    return _stopped(change.stopped, now)
                if now.status in UNMADE and not _existed(call.status):
                    if (left := await self._cleared(change, now)) is not None:
                        return left
                    now = None
            return await self._update(change, now, values, call)

        await call.perform("up", told(up))

    async def compensate(self, call: StepContext) -> Compensated | Retained | None:
        """Delete what this run has made, or put back what was there; and see it."""
        return await Undoing(handler=self, call=call).undo()

    async def reveal_outputs(self, call: StepContext) -> Mapping[str, Any]:
        """The outputs of the stack."""
        now = await stacks.look(self.service, id_of(call.status.fingerprint) or self.stack)
        return self._outputs(now, await call.inputs()) if now is not None else {}

    async def leftovers(self, status: StepStatus, reason: str) -> tuple[Leftover, ...]:
        """Every resource that the stack of this run still shows."""
        if status.leftovers:
            return status.leftovers
        now = await stacks.look(self.service, self.id_in(status) or self.stack)
        if now is None:
            return ()
        left = await self.held(now, reason)
        if now.status == stacks.DELETED:
            return tuple(left)
        return (*left, Leftover(step=self.name, stack=now.id, reason=reason))

    async def reconcile(self, operation: OpenOperation) -> Reconciled:
        """Wait for what it had begun: CloudFormation goes on by itself."""
        run = operation.id.rpartition("-")[0]
        now = await stacks.own_stack(self.service, self.stack, run)
        if now is None:
            return Reconciled(found="no stack of this run is there: it had begun nothing")
        waiter = Change(self.service, Operation(id=operation.id, interrupt=self.interrupt()))
        waited = now.at_work
        now = await waiter.settled(now)
        found = f"waited until the stack was {now.status}" if waited else f"it is {now.status}"
        return Reconciled(found=found, evidence={"fingerprint": now.fingerprint, "stack": now.id})

    # -- parts -------------------------------------------------------------------------------

    async def _require_nothing(self, now: Stack) -> None:
        """Raise BackendError unless what is there is an empty shell: of a create that failed."""
        where = f"The CloudFormation stack {now.id}"
        if now.status == stacks.REVIEW:
            waiting = await stacks.change_sets(self.service, now)
            if others := [name for name in waiting if not name.startswith(stacks.OURS)]:
                raise RefusedError(
                    f"{where} waits for the change set {others[0]}, which is somebody else's.",
                    hint="Execute it or delete it first, or give the step another stack_name=.",
                )
            return
        if now.status == "ROLLBACK_COMPLETE" and not await left_of(self.service, now.id):
            return
        if now.at_work:
            raise BackendError(f"{where} is {now.status}: somebody is at work on it.")
        ways = {
            stacks.STUCK: "Continue its rollback first: `aws cloudformation "
            f"continue-update-rollback --stack-name {now.name}`.",
        }
        hint = ways.get(now.status, "Delete it first, with what it holds, or mend it.")
        raise BackendError(f"{where} is {now.status}: it cannot be updated. {hint}")

    async def _own(self, call: StepContext) -> Stack | Failure | None:
        """The stack to work on; or why it is not this run's."""
        now = await stacks.look(self.service, self.stack)
        started = call.status.started
        known = id_of(started.fingerprint) if started else ""
        if now is None:
            if not _existed(call.status):
                return None
            words = f"the stack {known}, which was there when the step started, is gone"
        elif now.id == known or await stacks.is_of(self.service, now, call.context("", {}).run):
            return now
        else:
            words = f"a stack named {self.stack} was made meanwhile by somebody else ({now.id})"
        return Failure(kind="refused", message=f"{words}: it is not touched")

    async def _cleared(self, change: Change, now: Stack) -> Outcome | None:
        """What a create that failed has left can only be deleted."""
        before = await stacks.resources(self.service, now.id)
        after = await change.delete(now)
        left = await left_of(self.service, now.id, before)
        if after.status == stacks.DELETED and not left:
            change.told.clear()
            return None
        words = (
            f"what an earlier attempt has left could not be deleted: {now.name} is {after.status}"
        )
        if left:
            words = f"{words}; {left[0].name} ({left[0].id}): {left[0].reason}"
        failure = change.stopped or Failure(kind="pending", message=words)
        return Outcome(failure=failure, evidence={"fingerprint": after.fingerprint})

    async def _update(
        self, change: Change, now: Stack | None, values: Mapping[str, Any], call: StepContext
    ) -> Outcome:
        given = self.given_to(values)
        changed = []
        if now is not None and _existed(call.status):
            changed = await earlier.changed_hidden(change, now, given)
        new = now is None or now.status == stacks.REVIEW
        assert self.template is not None  # noqa: S101 - launch refuses a run that lacks it
        request = request_of(self.template.text, given, self.options(now))
        found = await change.propose(
            self.stack if new or now is None else now.id, new=new, **request
        )
        if found.failure is not None or found.same:
            await change.withdraw(found)
        if found.failure is not None:
            return Outcome(failure=found.failure, evidence=_evidence(now))
        if not found.same:
            now = await change.execute(found)
        assert now is not None  # noqa: S101 - there is one, or nothing could be the same
        made = stacks.changes_in(change.told)
        evidence = _evidence(now)
        if kept := {} if found.same else stacks.kept_in(change.told):
            evidence["warnings"] = [f"{name} ({id_}): {why}" for (name, id_), why in kept.items()]
        touched = (*earlier.rewritten(changed), *made)
        if change.stopped is not None:
            return Outcome(failure=change.stopped, resources=touched, evidence=evidence)
        if now.status not in STANDING or (not found.same and "ROLLBACK" in now.status):
            return Outcome(failure=self._why(now, change), resources=touched, evidence=evidence)
        counts = (
            counted(made) if made else {"same": len(await stacks.resources(self.service, now.id))}
        )
        return Outcome(
            changes=counts,
            resources=touched,
            outputs=self._outputs(now, values),
            evidence=evidence,
        )

    def _why(self, now: Stack, change: Change) -> Failure:
        why = stacks.why_failed(change.told)
        said = why.reason if why is not None else now.reason
        words = f"the stack is {now.status}: {said}" if said else f"the stack is {now.status}"
        urn = why.name if why is not None and not why.of_stack else ""
        return Failure(kind="provider", message=words, urn=urn)

    def _outputs(self, now: Stack, values: Mapping[str, Any]) -> dict[str, Any]:
        found = mark_secrets(now.outputs, secrets_in(values))
        return {
            key: Secret(value)
            if key in self.secret_outputs and not isinstance(value, Secret)
            else value
            for key, value in found.items()
        }


def _existed(status: StepStatus) -> bool:
    return status.started is not None and status.started.record_existed


def _evidence(now: Stack | None) -> dict[str, Any]:
    """What is left afterwards, for the next operation to compare with."""
    return {"fingerprint": now.fingerprint, "status": now.status} if now is not None else {}


def _stopped(failure: Failure, now: Stack) -> Outcome:
    return Outcome(failure=failure, evidence=_evidence(now))
