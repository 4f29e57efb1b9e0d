"""Ids and names that a run is known by: run ids, who acts, which versions.

What only a run needs is imported where it is: commands that read start faster.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

VERSION: Final = "0.1.0"
"""alma's own, which the package gets from here: to ask its metadata is 15 ms of imports."""


def utc_now() -> datetime:
    """The clock that is injected everywhere: aware, UTC."""
    return datetime.now(UTC)


def new_run_id(now: datetime) -> str:
    """Sorts by time: `20260131-142501-042-9f3c`, UTC to the millisecond, and four hex digits."""
    import secrets

    stamp = now.astimezone(UTC)
    return f"{stamp:%Y%m%d-%H%M%S}-{stamp.microsecond // 1000:03d}-{secrets.token_hex(2)}"


def actor() -> str:
    """Who does this: `user@host`."""
    import getpass
    import socket

    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def versions() -> dict[str, str]:
    """Of what runs here: alma and Python. The engine adds its own."""
    import platform

    return {"alma": VERSION, "python": platform.python_version()}
