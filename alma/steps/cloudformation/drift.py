"""What somebody has changed of a stack behind its back, by CloudFormation's own detection."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from alma.core.events import ResourceChange
from alma.steps.cloudformation.service import Service, ServiceError

LONGEST: Final = 120.0
"""Seconds that it is waited for."""


async def drifted(service: Service, stack: str) -> tuple[ResourceChange, ...]:
    """The resources that are not as the stack has them. Raises ServiceError."""
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
        "describe_stack_resource_drifts",
        "StackResourceDrifts",
        StackName=stack,
        StackResourceDriftStatusFilters=["MODIFIED", "DELETED"],
    )
    return tuple(
        ResourceChange(
            urn=one["LogicalResourceId"],
            op="delete" if one["StackResourceDriftStatus"] == "DELETED" else "update",
            id=one.get("PhysicalResourceId") or "",
        )
        for one in found
    )
