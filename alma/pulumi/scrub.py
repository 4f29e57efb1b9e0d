"""Known secret values taken out of what an operation leaves behind: logs, messages, outputs."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from alma.core.events import Failure
from alma.core.redaction import Redactor


def scrub(directory: Path, redact: Redactor) -> None:
    """Rewrite the directory's log files without known secrets, a line in memory at a time.

    A log that holds one and cannot be rewritten (the disk is full) is deleted.
    """
    for path in directory.glob("*.log"):
        draft = path.with_name(f".{path.name}.clean")
        try:
            with _open(path, os.O_RDONLY) as log:
                if all(redact(line) == line for line in log):
                    continue
            with _open(path, os.O_RDONLY) as log, _open(draft, os.O_WRONLY) as clean:
                clean.writelines(redact(line) for line in log)
            draft.replace(path)
        except OSError:
            path.unlink(missing_ok=True)
            draft.unlink(missing_ok=True)


def _open(path: Path, mode: int) -> TextIO:
    """Open as text that keeps bytes that are none; what is written is for this user alone."""
    writes = mode == os.O_WRONLY
    descriptor = os.open(path, mode | (os.O_CREAT | os.O_TRUNC if writes else 0), 0o600)
    return os.fdopen(
        descriptor, "w" if writes else "r", encoding="utf-8", errors="surrogateescape", newline=""
    )


def clean_failure(failure: Failure | None, redact: Redactor) -> Failure | None:
    """The failure with known secrets taken out of its words."""
    if failure is None:
        return None
    return replace(failure, message=redact(failure.message), hint=redact(failure.hint))
