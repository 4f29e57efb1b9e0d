"""How much memory this process and what it starts may use."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Final

import psutil

_GROUPS: Final = Path("/sys/fs/cgroup")
_OWN: Final = Path("/proc/self/cgroup")


def memory_limit(groups: Path = _GROUPS, own: Path = _OWN) -> int:
    """Bytes: the machine's, or what its container or service is given of it."""
    found = [int(psutil.virtual_memory().total)]
    with suppress(OSError):
        lines = [line.split(":", 2) for line in own.read_text().splitlines()]
        for _, controllers, path in (line for line in lines if len(line) == 3):  # noqa: PLR2004
            found += _limits(groups, controllers, PurePosixPath(path))
    return min(found)


def _limits(groups: Path, controllers: str, path: PurePosixPath) -> list[int]:
    """Of a group, and of those that it is in."""
    unified = not controllers  # version 2, which has one tree for all
    if not unified and "memory" not in controllers.split(","):
        return []
    root = groups if unified else groups / "memory"
    name = "memory.max" if unified else "memory.limit_in_bytes"
    inside = path.relative_to("/") if path.is_absolute() else path
    found: list[int] = []
    for place in (inside, *inside.parents):
        with suppress(OSError, ValueError):  # "max": it has none
            found.append(int((root / place / name).read_text()))
    return found
