"""Deployments kept with the journal: what a stack was before a run changed it.

Each is known by the SHA-256 of its JSON, compressed. Secrets in it are the ciphertext of the
stack's state. The journal names it (`StepStarted.snapshot`), so that what was changed since is not
taken for it. They are files beside a journal that is one (`alma.pulumi.snapshot_files`), and rows
of one that several hosts reach.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from alma.errors import AlmaError

DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_LEVEL: Final = 6


class SnapshotError(AlmaError):
    """A snapshot is not there, not what the journal says it is, or of another stack."""

    exit_code = 6


class SnapshotPlace(Protocol):
    """Where they are kept, by digest. Raises SnapshotError, or what its journal does."""

    def put(self, digest: str, content: bytes) -> None:
        """Keep it, safe when this returns; of a whole one that it is needed now."""
        ...

    def get(self, digest: str) -> bytes | None:
        """What was kept; None where there is nothing."""
        ...

    def need(self, digest: str) -> None:
        """Keep it from `prune` until the journal says who needs it."""
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


@dataclass(frozen=True)
class Snapshots:
    """Those that are kept in a place."""

    place: SnapshotPlace

    def keep(self, project: str, stack: str, document: Mapping[str, Any]) -> str:
        """Keep it, safe when this returns; its digest. Raises `SnapshotError`."""
        whole = {"project": project, "stack": stack, "document": document}
        data = json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()
        digest = hashlib.sha256(data).hexdigest()
        try:
            self.place.put(digest, gzip.compress(data, _LEVEL, mtime=0))
        except SnapshotError as error:
            raise SnapshotError(
                f"The snapshot of {project}/{stack} cannot be {error.message}.", hint=error.hint
            ) from error
        return digest

    def load(self, digest: str, project: str, stack: str) -> Mapping[str, Any]:
        """The deployment kept under this digest; `SnapshotError` says why there is none."""
        if not digest or not DIGEST.fullmatch(digest):
            raise SnapshotError("no snapshot of it was kept when the step started")
        where = self.place.where(digest)
        content = self.place.get(digest)
        if content is None:
            raise SnapshotError(f"its snapshot {where} is gone")
        data = unpacked(content)
        if data is None:
            raise SnapshotError(f"its snapshot {where} is damaged")
        if hashlib.sha256(data).hexdigest() != digest:
            raise SnapshotError(f"its snapshot {where} is damaged: it is not what was kept")
        whole = json.loads(data)
        if (whole["project"], whole["stack"]) != (project, stack):
            raise SnapshotError(
                f"the snapshot {where} is of another stack, {whole['project']}/{whole['stack']}"
            )
        document: Mapping[str, Any] = whole["document"]
        return document


def unpacked(content: bytes) -> bytes | None:
    """What was compressed; None where that is damaged."""
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, ValueError, zlib.error):
        return None


def is_whole(digest: str, content: bytes | None) -> bool:
    """Whether it is what was kept under this digest."""
    data = unpacked(content) if content is not None else None
    return data is not None and hashlib.sha256(data).hexdigest() == digest
