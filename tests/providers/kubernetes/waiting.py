"""Waiting for an object to become what was asked for, as the official provider's await logic does.

`pulumi.com/skipAwait: "true"` on the object waits for nothing. The time is the resource option
`custom_timeouts`, else the annotation `pulumi.com/timeoutSeconds`, else ten minutes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from tests.providers.kubernetes.api import ApiError, Cluster
from tests.providers.kubernetes.naming import annotation
from tests.providers.server import REQUEST

DEFAULT = 600.0
INTERVAL = 0.2
"""Seconds between two looks."""


class NotInTimeError(Exception):
    """It did not get there; the message says what is missing, `live` is the last that was seen."""

    def __init__(self, message: str, live: dict[str, Any] | None) -> None:
        super().__init__(message)
        self.live = live


def seconds(document: Mapping[str, Any]) -> float:
    """How long to wait for this object in the request that is being served."""
    told = float(getattr(REQUEST.get(None), "timeout", 0.0))
    if told:
        return told
    try:
        return float(annotation(document, "pulumi.com/timeoutSeconds") or DEFAULT)
    except ValueError:
        return DEFAULT


def skipped(document: Mapping[str, Any]) -> bool:
    """Whether the object's author does not want to wait for it."""
    return bool(annotation(document, "pulumi.com/skipAwait") == "true")


def until(
    api: Cluster,
    path: str,
    missing: Callable[[dict[str, Any] | None, float], list[str]],
    patience: float,
) -> dict[str, Any] | None:
    """Look at the object until nothing is `missing`; the object then.

    `missing` is given the object and for how many seconds it has been looked at. Raises
    NotInTimeError after `patience` seconds, when the engine cancels, and when the server does not
    answer.
    """
    began = time.monotonic()
    live: dict[str, Any] | None = None
    while True:
        passed = time.monotonic() - began
        try:
            live = api.get(path)
            lacks = missing(live, passed)
        except ApiError as error:
            raise NotInTimeError(str(error), live) from error
        if not lacks:
            return live
        why = "; ".join(lacks)
        if passed >= patience:
            raise NotInTimeError(f"not ready within {patience:g} s: {why}", live)
        if api.cancelled.wait(INTERVAL):
            raise NotInTimeError(f"canceled before it was ready: {why}", live)
