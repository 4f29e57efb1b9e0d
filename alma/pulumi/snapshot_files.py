"""Snapshots beside a journal that is a file: `<digest>.json.gz`, as private as the journal."""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from alma.pulumi.snapshots import DIGEST, SnapshotError, SnapshotPlace, Snapshots, is_whole
from alma.system.files import make_directory, open_own, replace


def snapshots_of(journal: Path, place: SnapshotPlace | None) -> Snapshots:
    """Those of this journal's runs: in a place of its own, else files beside it."""
    return Snapshots(place or SnapshotFiles((journal.parent / "snapshots").absolute()))


@dataclass(frozen=True)
class SnapshotFiles:
    """See `SnapshotPlace`. The directory is made with the first one."""

    directory: Path

    def put(self, digest: str, content: bytes) -> None:
        """See `SnapshotPlace`; safe on the disk when this returns."""
        try:
            make_directory(self.directory)
            if is_whole(digest, self.get(digest)):
                self.need(digest)
            else:
                replace(self._path(digest), content)
        except OSError as error:
            raise SnapshotError(
                f"written to {self.directory}: {error.strerror}",
                hint="Without it a failed update could not be undone. Mend the directory.",
            ) from error

    def get(self, digest: str) -> bytes | None:
        """See `SnapshotPlace`."""
        try:
            with open_own(self._path(digest)) as file:
                return file.read()
        except FileNotFoundError:
            return None
        except OSError:
            return b""  # there, and not to be read: damaged

    def need(self, digest: str) -> None:
        """See `SnapshotPlace`."""
        with suppress(FileNotFoundError):
            os.utime(self._path(digest), follow_symlinks=False)

    def digests(self, *, older: float = 0.0) -> set[str]:
        """See `SnapshotPlace`.

        What has another name, or is a link, alma has not made: it is nobody's to restore or remove.
        """
        limit, found = time.time() - older, set[str]()
        if self.directory.is_symlink():
            return found
        for path in self.directory.glob("*.json.gz"):
            digest = path.name.removesuffix(".json.gz")
            if DIGEST.fullmatch(digest):
                with suppress(FileNotFoundError):
                    seen = path.lstat()
                    if stat.S_ISREG(seen.st_mode) and seen.st_mtime <= limit:
                        found.add(digest)
        return found

    def remove(self, digest: str) -> str:
        """See `SnapshotPlace`."""
        self._path(digest).unlink(missing_ok=True)
        return self.where(digest)

    def where(self, digest: str) -> str:
        """See `SnapshotPlace`."""
        return str(self._path(digest))

    def _path(self, digest: str) -> Path:
        return self.directory / f"{digest}.json.gz"
