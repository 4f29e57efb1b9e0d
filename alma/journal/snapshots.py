"""Deployments in a journal that several hosts reach: what a stack was before a run changed it."""

from __future__ import annotations

from typing import Protocol


class SnapshotRows(Protocol):
    """Each by its digest: added once, never changed, and removed by `prune`.

    Every method raises JournalError.
    """

    def put(self, digest: str, content: bytes) -> None:
        """Keep it, durably; of one that is there already only that it is needed now."""
        ...

    def get(self, digest: str) -> bytes | None:
        """What was kept; None where there is nothing."""
        ...

    def need(self, digest: str) -> None:
        """Note that it is needed now."""
        ...

    def digests(self, *, older: float = 0.0) -> set[str]:
        """All that are kept, and were last needed more than so many seconds ago."""
        ...

    def remove(self, digest: str) -> str:
        """Remove one; where it was, for people."""
        ...

    def where(self, digest: str) -> str:
        """Where it is, for people."""
        ...
