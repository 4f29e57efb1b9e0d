"""Where tests write: in memory where there is enough, since each commit of a journal is an fsync.

That it is asked for is tested; what a disk takes for it is not.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

RAM: Final = Path("/dev/shm")
ENOUGH: Final = 2 << 30
"""Bytes: several times what the tests leave there. A container has 64 MB by default."""


def in_memory() -> Path | None:
    """A directory in memory with room, from which programs can be run; None where there is none."""
    if not os.access(RAM, os.W_OK):
        return None
    found = os.statvfs(RAM)
    runs = not found.f_flag & os.ST_NOEXEC
    return RAM if runs and found.f_bavail * found.f_frsize >= ENOUGH else None
