"""Where the snapshots of a journal's runs are: beside it, or in it where several hosts reach it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from alma.journal import Journal
from alma.journal.address import PostgresUrl
from alma.journal.snapshots import SnapshotRows
from alma.pulumi.snapshots import SnapshotPlace
from alma.runner.settings import Settings


@contextmanager
def shared_snapshots(settings: Settings) -> Iterator[SnapshotPlace | None]:
    """The place in a journal that several hosts reach; None where they are files beside it."""
    if not isinstance(settings.where, PostgresUrl):
        yield None
        return
    late = LateSnapshots(settings)
    try:
        yield late
    finally:
        late.close()


class LateSnapshots:
    """A journal that is opened once a snapshot is needed: few steps need one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open: dict[bool, Journal] = {}

    def put(self, digest: str, content: bytes) -> None:
        """See `SnapshotPlace`."""
        self._rows(write=True).put(digest, content)

    def get(self, digest: str) -> bytes | None:
        """See `SnapshotPlace`."""
        return self._rows().get(digest)

    def need(self, digest: str) -> None:
        """See `SnapshotPlace`."""
        self._rows(write=True).need(digest)

    def digests(self, *, older: float = 0.0) -> set[str]:
        """See `SnapshotPlace`."""
        return self._rows().digests(older=older)

    def remove(self, digest: str) -> str:
        """See `SnapshotPlace`."""
        return self._rows(write=True).remove(digest)

    def where(self, digest: str) -> str:
        """See `SnapshotPlace`."""
        return self._rows().where(digest)

    def close(self) -> None:
        """Close what was opened."""
        for journal in self._open.values():
            journal.close()
        self._open.clear()

    def _rows(self, *, write: bool = False) -> SnapshotRows:
        journal = self._open.get(True) or self._open.get(write)
        if journal is None:
            journal = self._settings.open_journal(self._settings.where, write=write)
            self._open[write] = journal
        rows = journal.snapshots
        assert rows is not None  # noqa: S101 - a journal on Postgres has them
        return rows
