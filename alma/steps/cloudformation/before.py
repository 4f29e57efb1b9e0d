"""What a stack was before the run, kept beside the journal, and putting it back as an update."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from alma.core.events import Failure, Leftover, ResourceChange
from alma.pulumi.snapshots import Snapshots
from alma.steps.base import Outcome
from alma.steps.cloudformation import stacks
from alma.steps.cloudformation.changing import Change, counted, request_of
from alma.steps.cloudformation.service import Service
from alma.steps.cloudformation.stacks import HIDDEN, Stack
from alma.steps.cloudformation.template import LARGEST

_OWNER = "cloudformation"
"""Whose snapshot it is: no project of Pulumi has one with this name and a stack's ARN."""


class Before(Struct, frozen=True, kw_only=True):
    """The stack as it was. Of a NoEcho parameter nobody can read the value."""

    id: str
    template: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    hidden: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    event: str = ""
    """The key of its newest event then."""

    def given(self) -> list[dict[str, Any]]:
        """Its parameters for a request; a hidden one keeps the value that it has now."""
        shown = [
            {"ParameterKey": name, "ParameterValue": value}
            for name, value in self.parameters.items()
        ]
        return [*shown, *({"ParameterKey": name, "UsePreviousValue": True} for name in self.hidden)]

    def is_again(self, now: Stack, template: str) -> bool:
        """Whether the stack shows what it showed then."""
        shown = {key: value for key, value in now.parameters.items() if value != HIDDEN}
        hidden = {key for key, value in now.parameters.items() if value == HIDDEN}
        tags = [one.get("Tags") or [] for one in (now.options, self.options)]
        same = [sorted((tag["Key"], tag["Value"]) for tag in one) for one in tags]
        return (
            template == self.template
            and shown == dict(self.parameters)
            and hidden == set(self.hidden)
            and same[0] == same[1]
        )


async def read(service: Service, stack: Stack) -> Before:
    """What is needed to put it back. Raises ServiceError."""
    return Before(
        id=stack.id,
        template=await stacks.template_of(service, stack.id),
        parameters={key: value for key, value in stack.parameters.items() if value != HIDDEN},
        hidden=tuple(key for key, value in stack.parameters.items() if value == HIDDEN),
        options=stack.options,
        event=await stacks.last_event(service, stack.id),
    )


def keep(snapshots: Snapshots, before: Before) -> str:
    """Its digest in the journal. Raises SnapshotError where it cannot be kept."""
    document = {name: getattr(before, name) for name in Before.__struct_fields__}
    return snapshots.keep(_OWNER, before.id, {**document, "hidden": list(before.hidden)})


def load(snapshots: Snapshots, digest: str, id_: str) -> Before:
    """What was kept; SnapshotError says why it is not there."""
    kept = snapshots.load(digest, _OWNER, id_)
    return Before(**{**kept, "hidden": tuple(kept["hidden"])})


async def changed_hidden(
    change: Change, stack: Stack, given: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Hidden parameters that would get another value than they have: the service itself compares.

    By a change set that gives them, leaves all else, and is not executed.
    """
    given = [one for one in given if stack.parameters.get(one["ParameterKey"]) == HIDDEN]
    names = [one["ParameterKey"] for one in given]
    if not given:
        return []
    rest = [
        {"ParameterKey": name, "UsePreviousValue": True}
        for name in stack.parameters
        if name not in names
    ]
    text = await stacks.template_of(change.service, stack.id)
    small = len(text.encode()) <= LARGEST
    found = await change.propose(
        stack.id,
        new=False,
        suffix="-same",
        **({"TemplateBody": text} if small else {"UsePreviousTemplate": True}),
        Parameters=[*rest, *given],
        Capabilities=stack.options.get("Capabilities") or [],
        Tags=stack.options.get("Tags") or [],
    )
    await change.withdraw(found)
    return [] if found.same else names


async def put_back(change: Change, now: Stack, before: Before, step: str) -> Outcome:
    """Update the stack to what it was, and see that it is. Raises ServiceError."""
    service = change.service
    if len(before.template.encode()) > LARGEST:
        words = f"its template then had more than the {LARGEST} bytes that an update can be given"
        return _failed(Failure(kind="refused", message=words), step, now)
    if gone := sorted(set(before.hidden) - now.parameters.keys()):
        words = (
            f'this run has removed the NoEcho parameter "{gone[0]}", whose value nobody can read'
        )
        return _failed(Failure(kind="refused", message=words), step, now)
    found = await change.propose(
        now.id, new=False, **request_of(before.template, before.given(), before.options)
    )
    if found.failure is not None or found.same:
        await change.withdraw(found)
    else:
        now = await change.execute(found)
    if found.failure is not None:
        return _failed(found.failure, step, now)
    if change.stopped is not None:
        return _failed(change.stopped, step, now)
    if now.status not in stacks.STANDING or (not found.same and "ROLLBACK" in now.status):
        why = stacks.why_failed(change.told)
        said = f"{why.name}: {why.reason}" if why is not None else now.reason
        words = f"the stack could not be put back, it is {now.status}: {said}"
        urn = why.name if why is not None else ""
        return _failed(Failure(kind="provider", message=words, urn=urn), step, now)
    if not before.is_again(now, await stacks.template_of(service, now.id)):
        words = "the update succeeded, and the stack is not what it was"
        return _failed(Failure(kind="unverified", message=words), step, now)
    made = stacks.changes_in(change.told)
    renewed = [{"urn": one.urn, "id": one.id} for one in made if one.op == "create"]
    return Outcome(
        changes=counted(made),
        resources=made,
        evidence={"fingerprint": now.fingerprint, "status": now.status, "renewed": renewed},
    )


async def kept_since(service: Service, before: Before, step: str) -> tuple[Leftover, ...]:
    """What updates since then have replaced or removed, and is still there."""
    told = await stacks.events(service, before.id, before.event)
    there = {one.id for one in await stacks.resources(service, before.id)}
    return tuple(
        Leftover(step=step, stack=before.id, urn=name, id=id_, reason=reason)
        for (name, id_), reason in stacks.kept_in(told).items()
        if id_ not in there
    )


def unreadable(step: str, id_: str, names: Sequence[str]) -> tuple[Leftover, ...]:
    """Values that this run has replaced, and nobody can read."""
    reason = (
        "this run has given the NoEcho parameter another value, and CloudFormation shows nobody "
        "what it was: it keeps the new one"
    )
    return tuple(
        Leftover(step=step, stack=id_, urn=f"parameter {one}", reason=reason) for one in names
    )


REWRITTEN = "parameter "
"""How a hidden parameter is called among the resources that a step has changed."""


def rewritten(names: Sequence[str]) -> tuple[ResourceChange, ...]:
    """As the journal knows it."""
    return tuple(ResourceChange(urn=f"{REWRITTEN}{name}", op="update") for name in names)


def _failed(failure: Failure, step: str, now: Stack) -> Outcome:
    left = Leftover(step=step, stack=now.id, urn=failure.urn, reason=failure.message)
    return Outcome(failure=failure, leftovers=(left,), evidence={"fingerprint": now.fingerprint})
