"""Waiting for what another process or thread does: for a condition, and never for a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")
PATIENCE: Final = 300.0
"""Seconds: more than a machine takes that has much else to do, and less than a test may."""


def until(condition: Callable[[], T], what: str | Callable[[], object] = "") -> T:
    """What it gives, once that is true; after PATIENCE an AssertionError, which says `what`."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        if time.monotonic() > deadline:
            told = what() if callable(what) else what or condition
            raise AssertionError(f"not so after {PATIENCE:g} s: {told}")
        time.sleep(0.02)
    return found
