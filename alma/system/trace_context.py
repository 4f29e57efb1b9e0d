"""Where a run stands in a trace, known without a tracer (https://www.w3.org/TR/trace-context/).

A span's id is a digest of what it is of, and a trace's of its run's id, unless somebody gave one.
So each process of a run knows the same ids, whoever has begun it, and also after a crash.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

VARIABLE: Final = "TRACEPARENT"
"""https://opentelemetry.io/docs/specs/otel/context/env-carriers/"""

_PARENT: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_{}_ENDPOINT")


def is_configured(environ: Mapping[str, str], signal: str = "TRACES") -> bool:
    """Whether the standard variables say that anything (TRACES, METRICS) is to be sent.

    https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
    """
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    if chosen := environ.get(f"OTEL_{signal}_EXPORTER", "").strip():
        return chosen != "none"
    return any(environ.get(name.format(signal)) for name in _ENDPOINTS)


def given_parent(environ: Mapping[str, str]) -> tuple[int, int] | None:
    """The trace and the span that a pipeline has given, as numbers; None where it has none."""
    found = _PARENT.fullmatch(environ.get(VARIABLE, "").strip().lower())
    if found is None or not int(found[1], 16) or not int(found[2], 16):
        return None
    return int(found[1], 16), int(found[2], 16)


def trace_id(run: str, environ: Mapping[str, str]) -> int:
    """The trace that a run is in."""
    given = given_parent(environ)
    return given[0] if given else _number("run", run, size=16)


def span_id(*what: str) -> int:
    """The span of a run, a step or an operation, by the words that name it."""
    return _number(*what, size=8)


def traceparent(operation: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The variable for a program that works for an operation; none where nothing is sent.

    What a pipeline has given passes as it is then, as any other variable.
    """
    if not is_configured(environ):
        return {}
    run = operation.rpartition("-")[0]
    trace, span = trace_id(run, environ), span_id("operation", operation)
    return {VARIABLE: f"00-{trace:032x}-{span:016x}-01"}


def _number(*what: str, size: int) -> int:
    return int.from_bytes(sha256("\0".join(what).encode()).digest()[:size]) or 1
