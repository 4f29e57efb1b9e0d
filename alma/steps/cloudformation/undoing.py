"""The undo of a step that is a stack: deleted, or put back to what it was; and seen to be so."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from alma.core.events import Failure, Leftover
from alma.core.operation import Operation
from alma.errors import AlmaError
from alma.steps.base import Compensated, Outcome, Retained, StepContext
from alma.steps.callables import call_compensation
from alma.steps.cloudformation import before as earlier
from alma.steps.cloudformation import stacks
from alma.steps.cloudformation.changing import Change, told
from alma.steps.cloudformation.gone import Left, left_of
from alma.steps.cloudformation.seen import SeenStack
from alma.steps.cloudformation.stacks import STANDING, Stack, id_of

_TURNED: Final = "UPDATE_ROLLBACK_COMPLETE"
_BUSY: Final = ("CREATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS")
"""In these a stack can be deleted all the same."""


@dataclass(kw_only=True)
class Undoing:
    """One turn of the undo of one step."""

    handler: SeenStack
    call: StepContext

    async def undo(self) -> Compensated | Retained | None:
        """As the kind of the run has it."""
        if self.call.kind == "destroy":
            return await self._destroy()
        started = self.call.status.started
        if started is not None and started.record_existed:
            return await self._return(id_of(started.fingerprint))
        return await self._unmake()

    # -- a stack that is this run's ----------------------------------------------------------

    async def _unmake(self) -> Compensated | Retained | None:
        handler, status = self.handler, self.call.status
        id_ = handler.id_in(status)
        # Its name alone says nothing: somebody else may have made another one.
        run = self.call.context("", {}).run
        now = await stacks.look(handler.service, id_) if id_ else None
        if now is None and not id_:
            now = await stacks.own_stack(handler.service, handler.stack, run)
        if now is None:
            return self._unknown(id_) if id_ else _nothing("no stack of this run is there")
        if handler.compensation == "retain" and now.status != stacks.DELETED:
            return await self._kept(now, "the step asks for it: compensation is retain")
        if now.status != stacks.DELETED and not await self._drained():
            return None
        return await self._delete(now)

    async def _destroy(self) -> Compensated | Retained | None:
        handler = self.handler
        id_ = handler.id_in(self.call.status) or handler.known(handler.name)
        if id_:
            now = await stacks.look(handler.service, id_)
            return self._unknown(id_) if now is None else await self._delete(now)
        now = await stacks.look(handler.service, handler.stack)
        if now is None:
            return _nothing("no stack of this name is there")
        reason = (
            f"no run in this journal has made or changed the stack {now.name}: it is not deleted. "
            "`up` takes it over, and then `destroy` deletes it"
        )
        return await self._kept(now, reason)

    async def _drained(self) -> bool:
        """Whether the step's own callable, if it has one, was called and has not failed."""
        first = self.handler.compensation
        return not callable(first) or await call_compensation(self.call, first)

    def _unknown(self, id_: str) -> Retained:
        reason = (
            "CloudFormation does not know the stack any more (it keeps deleted ones for 90 days): "
            "nobody can see what became of its resources. Other credentials, another account?"
        )
        left = Leftover(step=self.handler.name, stack=id_, id=id_, reason=reason)
        return Retained(reason=reason, leftovers=(left,))

    async def _kept(self, now: Stack, reason: str) -> Retained:
        whole = Leftover(step=self.handler.name, stack=now.id, id=now.id, reason=reason)
        return Retained(reason=reason, leftovers=(whole, *await self.handler.held(now, reason)))

    async def _delete(self, now: Stack) -> Compensated | Retained | None:
        service = self.handler.service
        if now.status == stacks.DELETED and (seen := await self._gone(now)) is not None:
            return seen
        found: list[Left] = []
        skipped = self.handler.skips

        async def delete(operation: Operation) -> Outcome:
            change = self._change(operation)
            stack = now if now.status in _BUSY else await change.settled(now)
            before = await stacks.resources(service, stack.id)
            if stack.protected and stack.status != stacks.DELETED:
                return await self._protected(stack)
            if change.stopped is None and stack.status != stacks.DELETED:
                stack = await change.delete(stack, skipped)
            gone_now = stack.status == stacks.DELETED
            found[:] = await left_of(service, stack.id, before, just_now=gone_now)
            done = stacks.changes_in(change.told)
            gone = sum(each.op == "delete" for each in done)
            evidence = {"fingerprint": stack.fingerprint, **_seen(stack)}
            failure = self._why_not(stack, change, found)
            if failure is None:
                return Outcome(changes={"delete": gone}, resources=done, evidence=evidence)
            left = [self._left(stack, one) for one in found]
            if stack.status != stacks.DELETED:
                left = await self.handler.held(stack, failure.message)
                left.append(_whole(self.handler.name, stack, failure.message))
            return Outcome(
                failure=failure,
                changes={"delete": gone},
                resources=done,
                evidence=evidence,
                leftovers=tuple(left),
            )

        outcome = await self.call.perform("destroy", told(delete))
        if outcome.failure is not None:
            return None
        if found:
            return self._retained(now, found)
        return Compensated(how="destroyed", evidence=outcome.evidence)

    async def _gone(self, now: Stack) -> Compensated | Retained | None:
        """What is to be said of a stack that is deleted already; None where that is a failure."""
        left = await left_of(self.handler.service, now.id)
        if not left:
            how = "destroyed" if self.call.status.destroyed else "nothing"
            return Compensated(how=how, evidence=_seen(now))
        return self._retained(now, left) if all(one.retained for one in left) else None

    def _why_not(self, stack: Stack, change: Change, left: list[Left]) -> Failure | None:
        if stack.status == stacks.DELETED:
            odd = [one for one in left if not one.retained and one.name not in self.handler.skips]
            if not odd:
                return None
            words = f"the stack was deleted, and {odd[0].name} ({odd[0].id}) may be there"
            return Failure(kind="unverified", message=f"{words}: {odd[0].reason}")
        if change.stopped is not None:
            return change.stopped
        why = stacks.why_failed(change.told)
        said = f"{why.name}: {why.reason}" if why is not None else stack.reason
        hint = ""
        if stack.status == "DELETE_FAILED":
            hint = self._word("empty or mend it; or let go of it")
        words = f"the stack is {stack.status} after its delete: {said}".rstrip(": ")
        urn = why.name if why is not None and not why.of_stack else ""
        return Failure(kind="provider", message=words, urn=urn, hint=hint)

    async def _protected(self, now: Stack) -> Outcome:
        words = "somebody has given the stack termination protection: it is not deleted"
        hint = "Take that off (`aws cloudformation update-termination-protection`)."
        left = (_whole(self.handler.name, now, words), *await self.handler.held(now, words))
        return Outcome(
            failure=Failure(kind="refused", message=words, hint=hint),
            leftovers=left,
            evidence={"fingerprint": now.fingerprint},
        )

    def _retained(self, now: Stack, left: list[Left]) -> Retained:
        reason = f"the stack was deleted, and left {left[0].name}: {left[0].reason}"
        return Retained(reason=reason, leftovers=tuple(self._left(now, one) for one in left))

    def _left(self, now: Stack, one: Left) -> Leftover:
        return Leftover(
            step=self.handler.name, stack=now.id, urn=one.name, id=one.id, reason=one.reason
        )

    # -- a stack that was there before -------------------------------------------------------

    async def _return(self, id_: str) -> Compensated | Retained | None:
        handler, status = self.handler, self.call.status
        now = await stacks.look(handler.service, id_)
        if now is None:
            return self._unknown(id_)
        if now.status == stacks.DELETED:
            reason = "the stack was there before this run, and somebody has deleted it since"
            return Retained(reason=reason, leftovers=(_whole(handler.name, now, reason),))
        started = status.started
        if started is not None and now.fingerprint == started.fingerprint and not now.at_work:
            return Compensated(how="unchanged", evidence=_seen(now))
        if not await self._is_ours(now):
            reason = "somebody else has changed the stack since: it is not put back"
            return await self._kept_whole(now, reason)
        if handler.compensation == "retain":
            return await self._kept_whole(now, "the step asks for it: compensation is retain")
        try:
            if handler.snapshots is None:
                raise AlmaError("no snapshot of it was kept")
            before = earlier.load(handler.snapshots, self.call.snapshot, id_)
        except AlmaError as error:
            reason = f"the stack was there before this run, and cannot be put back: {error.message}"
            return await self._kept_whole(now, reason)
        if not await self._drained():
            return None
        return await self._put_back(now, before)

    async def _is_ours(self, now: Stack) -> bool:
        """Whether nobody has changed it after this run."""
        run, known = self.call.context("", {}).run, self.call.status.fingerprint
        if now.fingerprint == known or now.change_set.startswith(f"{stacks.OURS}{run}-"):
            return True
        return now.at_work and await stacks.is_of(self.handler.service, now, run)

    async def _put_back(self, now: Stack, before: earlier.Before) -> Compensated | Retained | None:
        handler, skipped = self.handler, list[str]()
        rewritten = self._rewritten(before)

        async def restore(operation: Operation) -> Outcome:
            change = self._change(operation)
            stack = await change.settled(now)
            if change.stopped is None and stack.status == stacks.STUCK:
                stack = await change.roll_back_again(stack, handler.skips)
                skipped[:] = handler.skips
            if change.stopped is None and stack.status in STANDING:
                change.told.clear()
                if self.call.status.failure is not None and stack.status == _TURNED:
                    text = await stacks.template_of(handler.service, stack.id)
                    if before.is_again(stack, text):
                        rewritten.clear()  # CloudFormation has rolled it back itself, values too
                return await earlier.put_back(change, stack, before, handler.name)
            failure = change.stopped or self._stuck(stack, change)
            left = _whole(handler.name, stack, failure.message)
            evidence = {"fingerprint": stack.fingerprint}
            return Outcome(failure=failure, leftovers=(left,), evidence=evidence)

        outcome = await self.call.perform("restore", told(restore))
        if outcome.failure is not None:
            return None
        left = [*await earlier.kept_since(handler.service, before, handler.name)]
        left += earlier.unreadable(handler.name, before.id, rewritten)
        for name in skipped:
            words = "its rollback was skipped, as asked for: it may not be what its template says"
            left.append(Leftover(step=handler.name, stack=before.id, urn=name, reason=words))
        if left:
            return Retained(reason=left[0].reason, leftovers=tuple(left))
        return Compensated(how="restored", evidence=outcome.evidence)

    def _stuck(self, stack: Stack, change: Change) -> Failure:
        why = stacks.why_failed(change.told)
        said = f": {why.name}: {why.reason}" if why is not None else f": {stack.reason}"
        hint = ""
        if stack.status == stacks.STUCK:
            hint = self._word("mend what its rollback fails at; or skip it")
        words = f"the stack is {stack.status}, and cannot be put back{said}".rstrip(": ")
        return Failure(kind="provider", message=words, hint=hint)

    def _word(self, what: str) -> str:
        run = self.call.context("", {}).run
        option = f"--skip-resource {self.handler.name}:NAME"
        return f"Then `alma-pulumi rollback {run}`: {what}, with `{option}`."

    def _rewritten(self, before: earlier.Before) -> list[str]:
        """Hidden parameters that may have another value than before."""
        status = self.call.status
        told = {one.urn for one in status.resources if one.urn.startswith(earlier.REWRITTEN)}
        if status.unobserved:
            told |= {f"{earlier.REWRITTEN}{name}" for name in self.handler.hidden}
        return [name for name in before.hidden if f"{earlier.REWRITTEN}{name}" in told]

    async def _kept_whole(self, now: Stack, reason: str) -> Retained:
        return Retained(reason=reason, leftovers=(_whole(self.handler.name, now, reason),))

    def _change(self, operation: Operation) -> Change:
        return Change(self.handler.service, operation, Path(self.call.logs(operation)))


def _whole(step: str, now: Stack, reason: str) -> Leftover:
    return Leftover(step=step, stack=now.id, id=now.id, reason=reason)


def _nothing(words: str) -> Compensated:
    return Compensated(how="nothing", evidence={"stack": words})


def _seen(now: Stack) -> dict[str, str]:
    return {"stack": now.id, "status": now.status}
