"""What somebody has changed of a stack behind its back, by CloudFormation's own detection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final

from msgspec import UNSET

from alma.core.drift import Drift, PropertyDrift, ResourceDrift
from alma.core.events import ResourceChange
from alma.steps.cloudformation import stacks
from alma.steps.cloudformation.service import Service, ServiceError

LONGEST: Final = 120.0
"""Seconds that it is waited for."""
_DRIFTED: Final = ("MODIFIED", "DELETED")


async def drifted(service: Service, stack: str) -> tuple[ResourceChange, ...]:
    """The resources that are not as the stack has them. Raises ServiceError."""
    found = (one for one in await _detected(service, stack) if _status(one) in _DRIFTED)
    return tuple(
        ResourceChange(urn=one["LogicalResourceId"], op=_op(one), id=_id(one)) for one in found
    )


async def look(service: Service, stack: str) -> Drift:
    """The same by property; and which of its resources the service cannot tell of.

    Raises ServiceError.
    """
    now = await stacks.look(service, stack)
    if now is None or now.status == stacks.DELETED:
        why = "there is no such stack, and by the journal it is up"
        return Drift(resources=(ResourceDrift(urn=stack, op="missing", why=why),))
    found = {one["LogicalResourceId"]: one for one in await _detected(service, now.id)}
    told = [one for one in found.values() if _status(one) in _DRIFTED]
    unasked = [
        (one.name, f"CloudFormation does not tell drift of {one.type}")
        for one in await stacks.resources(service, now.id)
        if _status(found.get(one.name, {})) not in (*_DRIFTED, "IN_SYNC")
    ]
    resources = tuple(
        ResourceDrift(
            urn=one["LogicalResourceId"],
            op=_op(one),
            id=_id(one),
            type=one.get("ResourceType") or "",
            properties=tuple(map(_property, one.get("PropertyDifferences") or ())),
        )
        for one in told
    )
    return Drift(resources=resources, unasked=tuple(unasked))


async def _detected(service: Service, stack: str) -> list[Mapping[str, Any]]:
    answer = await service.call("detect_stack_drift", StackName=stack)
    began, detection = time.monotonic(), answer["StackDriftDetectionId"]
    while True:
        answer = await service.call(
            "describe_stack_drift_detection_status", StackDriftDetectionId=detection
        )
        if answer["DetectionStatus"] != "DETECTION_IN_PROGRESS":
            break
        if time.monotonic() - began > LONGEST:
            raise ServiceError("CloudFormation has not ended its drift detection")
        await asyncio.sleep(1)
    if answer["DetectionStatus"] == "DETECTION_FAILED":
        why = answer.get("DetectionStatusReason") or "it does not say why"
        raise ServiceError(f"CloudFormation could not detect drift: {why}")
    found = await service.pages(
        "describe_stack_resource_drifts", "StackResourceDrifts", StackName=stack
    )
    return list(found)


def _status(one: Mapping[str, Any]) -> str:
    return str(one.get("StackResourceDriftStatus") or "")


def _op(one: Mapping[str, Any]) -> str:
    return "delete" if _status(one) == "DELETED" else "update"


def _id(one: Mapping[str, Any]) -> str:
    return str(one.get("PhysicalResourceId") or "")


def _property(one: Mapping[str, Any]) -> PropertyDrift:
    """The service gives each value as a text."""
    kind = one.get("DifferenceType")
    was, now = one.get("ExpectedValue"), one.get("ActualValue")
    return PropertyDrift(
        path=str(one.get("PropertyPath") or "").lstrip("/").replace("/", "."),
        was=UNSET if kind == "ADD" else was,
        now=UNSET if kind == "REMOVE" else now,
    )
