"""What is left of a stack that was deleted: by each resource's own state, not by the stack's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from alma.steps.cloudformation import stacks
from alma.steps.cloudformation.service import Service
from alma.steps.cloudformation.stacks import DELETED, NESTED, Resource, StackEvent


@dataclass(frozen=True, kw_only=True)
class Left:
    """A resource that is not seen deleted; `retained`: on purpose, by a policy of its template."""

    name: str
    id: str
    reason: str
    retained: bool = False


async def left_of(service: Service, id_: str, before: Sequence[Resource] = ()) -> list[Left]:
    """What of it is not seen deleted, nested stacks' resources among it.

    `before` is what it held when the delete began. Each must be told as deleted, by what the
    service lists of the deleted stack, or by its events: those of a deleted stack stay 90 days.
    """
    told = await stacks.events(service, id_)
    listed = await stacks.resources(service, id_)
    kept = stacks.kept_in(told)
    ended = _ended(told)
    for one in (*before, *listed):
        if one.id:
            ended.setdefault((one.name, one.id), one.status)
    for one in listed:
        if one.id:
            ended[one.name, one.id] = one.status
    found = []
    for (name, physical), status in ended.items():
        if status != DELETED:
            words = f"CloudFormation never told that it was deleted (it says {status})"
            reason = kept.get((name, physical), words)
            retained = status == "DELETE_SKIPPED"
            found.append(Left(name=name, id=physical, reason=reason, retained=retained))
    nested = {event.id for event in told if event.type == NESTED and not event.of_stack}
    nested |= {one.id for one in (*before, *listed) if one.type == NESTED}
    for inner in sorted(nested - {"", id_}):
        if await stacks.look(service, inner) is None:
            words = "a nested stack of which CloudFormation does not know any more"
            found.append(Left(name=inner, id=inner, reason=words))
            continue
        for left in await left_of(service, inner):
            name = f"{inner.split('/')[1]}/{left.name}"
            found.append(Left(name=name, id=left.id, reason=left.reason, retained=left.retained))
    return found


def _ended(told: Sequence[StackEvent]) -> dict[tuple[str, str], str]:
    """By name and id the last state of each that had an id."""
    found: dict[tuple[str, str], str] = {}
    for event in told:
        if not event.of_stack and event.id:
            found[event.name, event.id] = event.status
    return found
