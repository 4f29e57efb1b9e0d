"""What is left of a stack that was deleted: by each resource's own state, not by the stack's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from alma.steps.cloudformation import stacks
from alma.steps.cloudformation.following import FIRST_PAUSE
from alma.steps.cloudformation.service import Service
from alma.steps.cloudformation.stacks import DELETED, NESTED, Resource, StackEvent

SETTLES: Final = 20.0
"""Seconds in which a resource's end may be told after that of its stack: events come late."""


@dataclass(frozen=True, kw_only=True)
class Left:
    """A resource that is not seen deleted; `retained`: on purpose, by a policy of its template."""

    name: str
    id: str
    reason: str
    retained: bool = False
    at_work: bool = False
    """The last that was told of it is that it is being deleted."""


async def left_of(
    service: Service, id_: str, before: Sequence[Resource] = (), *, just_now: bool = False
) -> list[Left]:
    """What of it is not seen deleted, nested stacks' resources among it.

    `before` is what it held when the delete began. Each must be told as deleted, by what the
    service lists of the deleted stack, or by its events: those of a deleted stack stay 90 days.
    Of one that was deleted `just_now` they are waited for.
    """
    deadline = time.monotonic() + (SETTLES if just_now else 0.0)
    while True:
        found = await _left_now(service, id_, before)
        if not any(one.at_work for one in found) or time.monotonic() >= deadline:
            return found
        await asyncio.sleep(FIRST_PAUSE)


async def _left_now(service: Service, id_: str, before: Sequence[Resource] = ()) -> list[Left]:
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
            found.append(
                Left(
                    name=name,
                    id=physical,
                    reason=reason,
                    retained=status == "DELETE_SKIPPED",
                    at_work=status == "DELETE_IN_PROGRESS",
                )
            )
    nested = {event.id for event in told if event.type == NESTED and not event.of_stack}
    nested |= {one.id for one in (*before, *listed) if one.type == NESTED}
    for inner in sorted(nested - {"", id_}):
        if await stacks.look(service, inner) is None:
            words = "a nested stack of which CloudFormation does not know any more"
            found.append(Left(name=inner, id=inner, reason=words))
            continue
        within = await _left_now(service, inner)
        found += [replace(one, name=f"{inner.split('/')[1]}/{one.name}") for one in within]
    return found


def _ended(told: Sequence[StackEvent]) -> dict[tuple[str, str], str]:
    """By name and id the last state of each that had an id."""
    found: dict[tuple[str, str], str] = {}
    for event in told:
        if not event.of_stack and event.id:
            found[event.name, event.id] = event.status
    return found
