"""Following a stack to the end of what is under way there: its events are told as they come."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from alma.core.events import Failure
from alma.core.operation import Operation
from alma.steps.cloudformation import stacks
from alma.steps.cloudformation.service import Service, ServiceError
from alma.steps.cloudformation.stacks import OURS, Stack, StackEvent
from alma.system import files

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 5.0
PATIENCE: Final = 600.0
"""Seconds in which a service may be away while something goes on there."""
BEGINS: Final = 60.0
"""Seconds in which what was asked for shows in the stack's events."""
LOG: Final = "cloudformation.log"


@dataclass
class _Seen:
    """What one wait has seen. `newest` is the key of an event."""

    newest: str
    begun: bool
    fresh: bool = True
    """The last look has brought events."""
    since: float = field(default_factory=time.monotonic)
    answered: float = field(default_factory=time.monotonic)
    pause: float = field(default_factory=lambda: FIRST_PAUSE)


@dataclass
class Watch:
    """Waits for one operation, within its time and until it is interrupted."""

    service: Service
    operation: Operation
    logs: Path | None = None
    told: list[StackEvent] = field(default_factory=list)
    """All events that it has seen."""
    stopped: Failure | None = None
    """Why it does not wait any more: the operation was interrupted, or its time was up."""
    _began: float = field(default_factory=time.monotonic)

    async def settled(self, stack: Stack) -> Stack:
        """Wait for what is under way there, whoever has begun it."""
        if not stack.at_work:
            return stack
        newest = await stacks.last_event(self.service, stack.id)
        return await self.follow(stack.id, newest, begun=True)

    async def follow(self, id_: str, after: str, *, begun: bool = False) -> Stack:
        """Tell the events that come `after` this one, until nothing is under way any more.

        `begun`: something was seen to be. Else that shows in an event of the stack's own.
        """
        seen = _Seen(newest=after, begun=begun)
        while True:
            stack = await self._look(id_, seen)
            if stack is not None and _is_over(stack, seen):
                return stack
            if self.stopped is not None:
                if stack is not None:
                    return stack
                await asyncio.sleep(seen.pause)
            elif (why := await self.stopped_within(seen.pause)) is not None:
                return await self._stop(id_, why, seen)

    async def stopped_within(self, seconds: float) -> Failure | None:
        """Wait; why there is no more waiting, if there is none."""
        timeout = self.operation.timeout
        left = float("inf") if timeout is None else self._began + timeout - time.monotonic()
        try:
            await asyncio.wait_for(self.operation.interrupt.wait(), max(min(seconds, left), 0))
        except TimeoutError:
            if left > seconds:
                return None
            words = f"CloudFormation had not ended within {timeout:g} seconds"
            return Failure(kind="timeout", message=words)
        return Failure(kind="cancelled", message="it was interrupted")

    async def _stop(self, id_: str, why: Failure, seen: _Seen) -> Stack:
        """An update is told to turn back, and is given its grace; all else goes on by itself."""
        stack = await self._look(id_, seen)
        if stack is not None and stack.status == "UPDATE_IN_PROGRESS":
            await self._cancel(stack)
            limit = time.monotonic() + self.operation.grace
            while time.monotonic() < limit and (stack is None or not _is_over(stack, seen)):
                await asyncio.sleep(seen.pause)
                stack = await self._look(id_, seen)
        self.stopped = why
        return stack if stack is not None else await self.follow(id_, seen.newest)

    async def _cancel(self, stack: Stack) -> None:
        token = f"{OURS}{self.operation.id}"
        try:
            await self.service.call(
                "cancel_update_stack", StackName=stack.id, ClientRequestToken=token
            )
        except ServiceError:
            return  # it has ended meanwhile, or goes on: who undoes it waits for it

    async def _look(self, id_: str, seen: _Seen) -> Stack | None:
        """The stack, with its new events told; None where the service is away for now."""
        try:
            stack = await stacks.look(self.service, id_)
            new = await stacks.events(self.service, id_, seen.newest) if stack else []
        except ServiceError as error:
            if not error.may_pass or time.monotonic() - seen.answered > PATIENCE:
                raise
            seen.pause = LONGEST_PAUSE
            return None
        if stack is None:
            raise ServiceError(f"CloudFormation does not know the stack {id_} any more")
        seen.answered, seen.fresh = time.monotonic(), bool(new)
        seen.pause = FIRST_PAUSE if new else min(seen.pause * 1.5, LONGEST_PAUSE)
        for event in new:
            self._tell(event)
            seen.newest = event.key
            seen.begun = seen.begun or (event.of_stack and event.status != stacks.REVIEW)
        return stack

    def _tell(self, event: StackEvent) -> None:
        self.told.append(event)
        op, _, state = event.status.partition("_")
        if not event.of_stack and state in ("IN_PROGRESS", "COMPLETE", "FAILED", "SKIPPED"):
            self.operation.on_resource(event.name, op.lower(), state != "IN_PROGRESS")
        if self.logs is not None:
            files.make_directory(self.logs)
            words = ("stack" if event.of_stack else event.name, event.status, event.reason)
            line = self.operation.redact(" ".join(filter(None, words)))
            with files.open_log(self.logs / LOG) as log:
                log.write(f"{line}\n".encode())


def _is_over(stack: Stack, seen: _Seen) -> bool:
    """Nothing is under way, and no event is only on its way: the last look has brought none."""
    if stack.at_work or seen.fresh:
        return False
    late = time.monotonic() - seen.since > BEGINS
    return stack.status == stacks.DELETED or seen.begun or late
