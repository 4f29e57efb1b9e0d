"""Deployments kept beside the journal: what a stack was before a run changed it.

Each is one file, `<sha256 of its JSON>.json.gz`, mode 0600 in a directory of mode 0700. Secrets
in it are the ciphertext of the stack's state. The journal names it (`StepStarted.snapshot`), so
that a file which was changed since is not taken for it.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import stat
import time
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from alma.errors import AlmaError
from alma.system.files import make_directory, open_own, replace

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_LEVEL: Final = 6


class SnapshotError(AlmaError):
    """A snapshot is not there, not what the journal says it is, or of another stack."""

    exit_code = 6


def directory_of(journal: Path) -> Path:
    """Where the snapshots of this journal's runs are."""
    return (journal.parent / "snapshots").absolute()


@dataclass(frozen=True)
class Snapshots:
    """The snapshots in a directory, which is made with the first one."""

    directory: Path

    def keep(self, project: str, stack: str, document: Mapping[str, Any]) -> str:
        """Write it, safe on the disk when this returns; its digest. Raises `SnapshotError`."""
        whole = {"project": project, "stack": stack, "document": document}
        data = json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()
        digest = hashlib.sha256(data).hexdigest()
        try:
            make_directory(self.directory)
            if self._is_whole(digest):
                os.utime(
                    self._path(digest), follow_symlinks=False
                )  # it is needed again, as `prune` must see
            else:
                replace(self._path(digest), gzip.compress(data, _LEVEL, mtime=0))
        except OSError as error:
            raise SnapshotError(
                f"The snapshot of {project}/{stack} cannot be written to {self.directory}: "
                f"{error.strerror}.",
                hint="Without it a failed update could not be undone. Mend the directory.",
            ) from error
        return digest

    def load(self, digest: str, project: str, stack: str) -> Mapping[str, Any]:
        """The deployment kept under this digest; `SnapshotError` says why there is none."""
        if not digest or not _DIGEST.fullmatch(digest):
            raise SnapshotError("no snapshot of it was kept when the step started")
        path = self._path(digest)
        try:
            data = _read(path)
        except FileNotFoundError as error:
            raise SnapshotError(f"its snapshot {path} is gone") from error
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise SnapshotError(f"its snapshot {path} is damaged") from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise SnapshotError(f"its snapshot {path} is damaged: it is not what was kept")
        whole = json.loads(data)
        if (whole["project"], whole["stack"]) != (project, stack):
            raise SnapshotError(
                f"the snapshot {path} is of another stack, {whole['project']}/{whole['stack']}"
            )
        document: Mapping[str, Any] = whole["document"]
        return document

    def need(self, digest: str) -> None:
        """Keep it from `prune` until the journal says who needs it."""
        with suppress(FileNotFoundError):
            os.utime(self._path(digest), follow_symlinks=False)

    def digests(self, *, older: float = 0.0) -> set[str]:
        """All that are kept, and were last needed more than so many seconds ago.

        What has another name, or is a link, alma has not made: it is nobody's to restore or remove.
        """
        limit, found = time.time() - older, set[str]()
        if self.directory.is_symlink():
            return found
        for path in self.directory.glob("*.json.gz"):
            digest = path.name.removesuffix(".json.gz")
            if _DIGEST.fullmatch(digest):
                with suppress(FileNotFoundError):
                    seen = path.lstat()
                    if stat.S_ISREG(seen.st_mode) and seen.st_mtime <= limit:
                        found.add(digest)
        return found

    def remove(self, digest: str) -> Path:
        """Remove one."""
        path = self._path(digest)
        path.unlink(missing_ok=True)
        return path

    def _path(self, digest: str) -> Path:
        return self.directory / f"{digest}.json.gz"

    def _is_whole(self, digest: str) -> bool:
        try:
            data = _read(self._path(digest))
        except (OSError, EOFError, ValueError, zlib.error):
            return False
        return hashlib.sha256(data).hexdigest() == digest


def _read(path: Path) -> bytes:
    with open_own(path) as file:
        return gzip.decompress(file.read())
