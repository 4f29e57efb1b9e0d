"""One change of a stack: a change set made and executed, or a delete, and followed to its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from alma.core.events import Failure, ResourceChange
from alma.core.operation import Operation
from alma.steps.base import Outcome, Work
from alma.steps.cloudformation import following, stacks
from alma.steps.cloudformation.following import Watch
from alma.steps.cloudformation.service import ServiceError
from alma.steps.cloudformation.stacks import OURS, Stack

_SAME: Final = ("didn't contain changes", "no updates are to be performed")
_OPS: Final = {
    "Add": "create", "Modify": "update", "Remove": "delete", "Import": "import",
    "Dynamic": "update",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ChangeSet:
    """A change set that was made: what it would do. `same`: nothing would change."""

    id: str
    stack: str
    changes: tuple[ResourceChange, ...] = ()
    same: bool = False
    failure: Failure | None = None


class Change(Watch):
    """What is done for one operation: its `token` is the same however often it is sent."""

    @property
    def token(self) -> str:
        """As change sets are called, and events are marked: it begins with the run's id."""
        return f"{OURS}{self.operation.id}"

    # -- change sets -------------------------------------------------------------------------

    async def propose(
        self, stack: str, *, new: bool, suffix: str = "", **request: Any
    ) -> ChangeSet:
        """Make a change set, and wait until it can be executed. Raises ServiceError."""
        name = f"{self.token}{suffix}"
        kind = "CREATE" if new else "UPDATE"
        try:
            made = await self.service.call(
                "create_change_set",
                StackName=stack,
                ChangeSetName=name,
                ChangeSetType=kind,
                ClientToken=name,
                **request,
            )
        except ServiceError as error:
            if error.code != "AlreadyExistsException":
                raise
            made = await self.service.call(
                "describe_change_set", StackName=stack, ChangeSetName=name
            )
            made = {"Id": made["ChangeSetId"], "StackId": made["StackId"]}
        pause = 0.2
        while True:
            answer = await self.service.call("describe_change_set", ChangeSetName=made["Id"])
            if answer["Status"] not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
                break
            if (why := await self.stopped_within(pause)) is not None:
                return ChangeSet(id=made["Id"], stack=made["StackId"], failure=why)
            pause = min(pause * 1.5, following.LONGEST_PAUSE)
        changes = [*answer.get("Changes", [])]
        while answer.get("NextToken"):
            answer = await self.service.call(
                "describe_change_set", ChangeSetName=made["Id"], NextToken=answer["NextToken"]
            )
            changes += answer.get("Changes", [])
        reason, failure = str(answer.get("StatusReason") or ""), None
        same = answer["Status"] == "FAILED" and any(word in reason.lower() for word in _SAME)
        if answer["Status"] != "CREATE_COMPLETE" and not same:
            words = f"CloudFormation cannot make the change set: {reason or answer['Status']}"
            failure = Failure(kind="refused", message=words)
        return ChangeSet(
            id=made["Id"],
            stack=made["StackId"],
            changes=tuple(map(_change, changes)),
            same=same,
            failure=failure,
        )

    async def withdraw(self, found: ChangeSet) -> None:
        """Take back a change set that is not executed, and a stack that there is for it alone."""
        try:
            await self.service.call("delete_change_set", ChangeSetName=found.id)
        except ServiceError as error:
            if not error.is_absent and "InvalidChangeSetStatus" not in error.code:
                raise
        await self.clear(found.stack)

    async def clear(self, id_: str) -> None:
        """Remove a stack in which nothing was made, and for which no change set waits."""
        stack = await stacks.look(self.service, id_)
        if stack is not None and stack.status == stacks.REVIEW:
            mine = self.token.rpartition("-")[0]
            waiting = await stacks.change_sets(self.service, stack)
            if not [name for name in waiting if not name.startswith(mine)]:
                await self.service.call("delete_stack", StackName=stack.id)
                await self.follow(stack.id, await stacks.last_event(self.service, stack.id))

    async def execute(self, found: ChangeSet) -> Stack:
        """Execute it, and follow the stack to its end."""
        after = await stacks.last_event(self.service, found.stack)
        try:
            await self.service.call(
                "execute_change_set", ChangeSetName=found.id, ClientRequestToken=self.token
            )
        except ServiceError as error:
            # It was taken, and the answer was lost: the second request is told so.
            if error.code not in ("InvalidChangeSetStatus", "InvalidChangeSetStatusException"):
                raise
            answer = await self.service.call("describe_change_set", ChangeSetName=found.id)
            if not str(answer.get("ExecutionStatus", "")).startswith("EXECUTE_"):
                raise
        return await self.follow(found.stack, after)

    async def delete(self, stack: Stack, keep: Sequence[str] = ()) -> Stack:
        """Delete it, and follow it to its end; `keep` is let go, where its delete has failed."""
        after = await stacks.last_event(self.service, stack.id)
        kept = list(keep) if stack.status == "DELETE_FAILED" else []
        await self.service.call(
            "delete_stack", StackName=stack.id, ClientRequestToken=self.token, RetainResources=kept
        )
        return await self.follow(stack.id, after)

    async def roll_back_again(self, stack: Stack, skip: Sequence[str]) -> Stack:
        """Continue the rollback of an update that is stuck; `skip` is left as it is."""
        after = await stacks.last_event(self.service, stack.id)
        await self.service.call(
            "continue_update_rollback",
            StackName=stack.id,
            ClientRequestToken=self.token,
            ResourcesToSkip=list(skip),
        )
        return await self.follow(stack.id, after)


def told(work: Work) -> Work:
    """The work, of which what the service refuses is the failure that AWS's word makes it."""

    async def told(operation: Operation) -> Outcome:
        try:
            return await work(operation)
        except ServiceError as error:
            return Outcome(failure=error.failure())

    return told


def request_of(
    template: str, parameters: Sequence[Mapping[str, Any]], options: Mapping[str, Any]
) -> dict[str, Any]:
    """What a change set is asked for with."""
    return {"TemplateBody": template, "Parameters": list(parameters), **options}


def counted(changes: Sequence[ResourceChange]) -> dict[str, int]:
    """How many, by what is done."""
    found: dict[str, int] = {}
    for change in changes:
        found[change.op] = found.get(change.op, 0) + 1
    return found


def _change(one: Mapping[str, Any]) -> ResourceChange:
    about = one.get("ResourceChange", {})
    op = _OPS.get(about.get("Action", ""), "update")
    if op == "update" and about.get("Replacement") == "True":
        op = "replace"
    name, id_ = about.get("LogicalResourceId", ""), about.get("PhysicalResourceId") or ""
    return ResourceChange(urn=name, op=op, id=id_)
