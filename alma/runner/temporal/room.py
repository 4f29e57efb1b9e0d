"""How many operations a worker has room for, where nobody says how many it is to make."""

from __future__ import annotations

from typing import Final

from alma.system.memory import memory_limit

MOST: Final = 4
"""As many as a local run makes at a time: a CLI is at work, not waiting, for most of its time."""
EACH: Final = 512 * 2**20
"""Bytes for one: a CLI, its worker and plugins, as docs/temporal.md has them, and room besides."""


def operations_here(memory: int | None = None) -> int:
    """Of this machine, or of one with so much memory; one at least."""
    given = memory_limit() if memory is None else memory
    return max(1, min(MOST, given // EACH))
