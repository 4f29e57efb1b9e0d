"""Go's durations, as Pulumi's Docker provider takes them."""

from __future__ import annotations

import re

_UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}


def nanoseconds(text: str | None) -> int:
    """`1m30s` in nanoseconds; 0, Docker's own default, for none.

    Raises ValueError for what is no duration.
    """
    if not text:
        return 0
    parts = re.findall(r"([\d.]+)(ns|us|ms|s|m|h)", text)
    if "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"no duration: {text!r}; one is 500ms, 2s or 1m30s")
    return int(sum(float(number) * _UNITS[unit] for number, unit in parts))
