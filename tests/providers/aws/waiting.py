"""Waits, as the real provider has them for EC2, IAM and Route 53."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.providers.base import FailureError

PATIENCE = 60.0
"""Seconds for a service to let go of a resource, or to know one that was just made."""
PAUSE = 0.25
"""Seconds between two looks."""
WAITER = {"Delay": PAUSE, "MaxAttempts": 1200}
"""For botocore's waiters: five minutes, where their own way would be to look every 15 seconds."""


def persist(work: Callable[[], Any], transient: Callable[[Exception], bool]) -> Any:
    """Call `work` until it raises nothing that is `transient`, for as long as PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return work()
        except Exception as error:
            if not transient(error) or time.monotonic() > deadline:
                raise
        time.sleep(PAUSE)


def until(what: str, seen: Callable[[], bool]) -> None:
    """Return once it is seen. Raises FailureError after PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    while not seen():
        if time.monotonic() > deadline:
            raise FailureError(f"after {PATIENCE:.0f} s {what}")
        time.sleep(PAUSE)
