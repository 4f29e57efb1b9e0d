"""A CloudFormation stack as the service shows it: its state, its resources, its events."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from alma.core.events import ResourceChange
from alma.steps.cloudformation.service import Service, ServiceError

REVIEW: Final = "REVIEW_IN_PROGRESS"
"""A change set waits there, and nothing was made yet."""
DELETED: Final = "DELETE_COMPLETE"
STANDING: Final = (
    "CREATE_COMPLETE",
    "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK_COMPLETE",
    "IMPORT_COMPLETE",
    "IMPORT_ROLLBACK_COMPLETE",
)
"""In these a stack can be updated."""
STUCK: Final = "UPDATE_ROLLBACK_FAILED"
UNMADE: Final = ("CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED")
"""In these it can only be deleted."""
NESTED: Final = "AWS::CloudFormation::Stack"
OURS: Final = "alma-"
"""How the names of alma's change sets begin."""
HIDDEN: Final = "****"
"""What the service shows of a NoEcho parameter."""


@dataclass(frozen=True, kw_only=True)
class Stack:
    """Its `id` is the ARN: another stack of the same name has another one."""

    id: str
    name: str
    status: str
    reason: str = ""
    change_set: str = ""
    """The name of the one that was executed last."""
    changed_at: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    """Capabilities, tags and the like, by their names in a request."""
    protected: bool = False

    @property
    def fingerprint(self) -> str:
        """Its id, and what is another one after each change."""
        told = f"{self.change_set} {self.changed_at}"
        return f"{self.id} {hashlib.sha256(told.encode()).hexdigest()[:16]}"

    @property
    def at_work(self) -> bool:
        """Something is under way."""
        return self.status.endswith("_IN_PROGRESS") and self.status != REVIEW


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One resource of a stack."""

    name: str
    type: str
    status: str
    id: str = ""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class StackEvent:
    """One event, as the service tells it."""

    key: str
    name: str
    type: str
    status: str
    id: str = ""
    reason: str = ""
    token: str = ""
    of_stack: bool = False


def id_of(fingerprint: str) -> str:
    """The stack's id in a fingerprint; empty for none."""
    return fingerprint.partition(" ")[0]


async def look(service: Service, name: str) -> Stack | None:
    """The stack of this name, or with this id; None where there is none.

    A deleted one has a state of its own, and is found by its id only.
    """
    try:
        answer = await service.call("describe_stacks", StackName=name)
    except ServiceError as error:
        if error.is_absent:
            return None
        raise
    found = answer["Stacks"][0]
    options = {
        "Capabilities": list(found.get("Capabilities") or []),
        "Tags": [{"Key": one["Key"], "Value": one["Value"]} for one in found.get("Tags") or []],
        "RoleARN": found.get("RoleARN") or "",
        "NotificationARNs": list(found.get("NotificationARNs") or []),
    }
    return Stack(
        id=found["StackId"],
        name=found["StackName"],
        status=found["StackStatus"],
        reason=found.get("StackStatusReason") or "",
        change_set=name_in(found.get("ChangeSetId") or ""),
        changed_at=str(found.get("LastUpdatedTime") or found.get("CreationTime") or ""),
        parameters={
            one["ParameterKey"]: one.get("ParameterValue", "")
            for one in found.get("Parameters") or []
        },
        outputs={one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs") or []},
        options=options,
        protected=bool(found.get("EnableTerminationProtection")),
    )


def name_in(arn: str) -> str:
    """Of `arn:...:changeSet/NAME/UUID` the name."""
    parts = arn.split("/")
    return parts[1] if len(parts) > 1 else ""


async def resources(service: Service, id_: str) -> list[Resource]:
    """All of them, also of a stack that is deleted (the service keeps them for 90 days).

    By ListStackResources, which has pages: DescribeStackResources ends after a hundred.
    """
    found = await service.pages("list_stack_resources", "StackResourceSummaries", StackName=id_)
    return [
        Resource(
            name=one["LogicalResourceId"],
            type=one["ResourceType"],
            status=one["ResourceStatus"],
            id=one.get("PhysicalResourceId") or "",
            reason=one.get("ResourceStatusReason") or "",
        )
        for one in found
    ]


async def events(service: Service, id_: str, after: str = "") -> list[StackEvent]:
    """What happened to it, oldest first; only what came `after` the event of this key."""
    found: list[StackEvent] = []
    token = ""
    while True:
        answer = await service.call("describe_stack_events", StackName=id_, NextToken=token)
        for one in answer["StackEvents"]:
            if after and one["EventId"] == after:
                return found[::-1]
            physical = one.get("PhysicalResourceId") or ""
            found.append(
                StackEvent(
                    key=one["EventId"],
                    name=one["LogicalResourceId"],
                    type=one.get("ResourceType") or "",
                    status=one["ResourceStatus"],
                    id=physical,
                    reason=one.get("ResourceStatusReason") or "",
                    token=one.get("ClientRequestToken") or "",
                    of_stack=physical == one["StackId"],
                )
            )
        token = answer.get("NextToken", "")
        if not token:
            return found[::-1]


async def last_event(service: Service, id_: str) -> str:
    """The key of the newest one."""
    answer = await service.call("describe_stack_events", StackName=id_)
    return next((one["EventId"] for one in answer["StackEvents"]), "")


async def own_stack(service: Service, name: str, run: str) -> Stack | None:
    """The stack of this name that this run has made or changed, also one that is deleted.

    By the name of its last change set, or by the tokens of its events: both begin with the run's.
    """
    now = await look(service, name)
    if now is not None and await is_of(service, now, run):
        return now
    deleted = await service.pages(
        "list_stacks", "StackSummaries", StackStatusFilter=[DELETED, "DELETE_FAILED"]
    )
    for one in deleted:
        if one["StackName"] == name and one["StackId"] != (now.id if now else ""):
            gone = await look(service, one["StackId"])
            if gone is not None and await is_of(service, gone, run):
                return gone
    return None


async def is_of(service: Service, stack: Stack, run: str) -> bool:
    """Whether this run has made or changed it."""
    mark = f"{OURS}{run}-"
    if stack.change_set.startswith(mark):
        return True
    if any(one.startswith(mark) for one in await change_sets(service, stack)):
        return True
    return any(event.token.startswith(mark) for event in await events(service, stack.id))


async def change_sets(service: Service, stack: Stack) -> list[str]:
    """The names of those that wait at a stack."""
    if stack.status == DELETED:
        return []
    found = await service.pages("list_change_sets", "Summaries", StackName=stack.id)
    return [one["ChangeSetName"] for one in found]


async def template_of(service: Service, id_: str) -> str:
    """As it was given; JSON comes parsed."""
    answer = await service.call("get_template", StackName=id_, TemplateStage="Original")
    body = answer.get("TemplateBody", "")
    return body if isinstance(body, str) else json.dumps(body, indent=1)


_DONE: Final = {
    "CREATE_COMPLETE": "create",
    "UPDATE_COMPLETE": "update",
    "DELETE_COMPLETE": "delete",
    "IMPORT_COMPLETE": "import",
}


def changes_in(told: Iterable[StackEvent]) -> tuple[ResourceChange, ...]:
    """What was done to resources, each once and as it ended."""
    found: dict[tuple[str, str], ResourceChange] = {}
    for event in told:
        op = _DONE.get(event.status, "")
        if op and not event.of_stack:
            before = found.pop((event.name, event.id), None)
            if op == "delete" and before is not None and before.op == "create":
                continue  # made and taken back again
            found[event.name, event.id] = ResourceChange(urn=event.name, op=op, id=event.id)
    return tuple(found.values())


def kept_in(told: Sequence[StackEvent]) -> dict[tuple[str, str], str]:
    """What was to go and did not, by name and id, with why.

    The service calls an update complete though it could not delete what that has replaced.
    """
    last: dict[tuple[str, str], StackEvent] = {}
    for event in told:
        if not event.of_stack and event.id:
            last[event.name, event.id] = event
    words = {
        "DELETE_SKIPPED": "it is retained, by a policy of its template",
        "DELETE_FAILED": "CloudFormation could not delete it",
    }
    return {
        key: ": ".join(filter(None, [words[event.status], event.reason]))
        for key, event in last.items()
        if event.status in words
    }


def why_failed(told: Iterable[StackEvent]) -> StackEvent | None:
    """The first event that says what went wrong; what was cancelled for it says less."""
    failed = [event for event in told if event.status.endswith("_FAILED")]
    own = [one for one in failed if not one.of_stack and "cancelled" not in one.reason.lower()]
    return next(iter([*own, *failed]), None)
