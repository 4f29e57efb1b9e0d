"""The journal as a file: which paths are trusted, and what stands beside it. No SQL."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from alma.errors import BrokenJournalError, JournalError, RefusedError
from alma.system.own import require_own

SIDE_FILES = ("-wal", "-shm", "-journal")
"""What SQLite puts beside a database, by suffix (https://sqlite.org/tempfiles.html)."""

PARTS = ("leases", "snapshots", "logs")
"""What alma keeps beside the database, with the file of its key."""

HINT = "Give another path with --journal."


class Fingerprint(NamedTuple):
    """Changes whenever the main file may have changed.

    `at_rest`: no process has it open, nor died with it open, nor is there anything to recover.
    """

    at_rest: bool
    inode: int
    size: int
    modified: int


def beside(path: Path, suffix: str) -> Path:
    """SQLite's side file of this database."""
    return path.with_name(path.name + suffix)


def fingerprint(path: Path) -> Fingerprint | None:
    """Of the file as it is now; None while there is none."""
    at_rest = not any(os.path.lexists(beside(path, suffix)) for suffix in ("-wal", "-journal"))
    found = _look(path)
    if found is None:
        return None
    return Fingerprint(at_rest, found.st_ino, found.st_size, found.st_mtime_ns)


def inodes(path: Path) -> tuple[int, ...]:
    """Of the file and its log: while it is open for writing, neither may change."""
    with explained("reach", path):
        return _inode(name := str(path)), _inode(f"{name}-wal")


def _inode(name: str) -> int:
    """Of each append: no `Path` is made for it."""
    try:
        return os.lstat(name).st_ino
    except FileNotFoundError:
        return 0


def check(path: Path) -> None:
    """Refuse a path that must not be followed, read or written; a missing file is fine."""
    try:
        require_own(path.parent, *PARTS, f"{path.name}.key")
    except RefusedError as error:
        raise JournalError(error.message, hint=error.hint) from error
    log = _look(beside(path, "-wal"))
    for candidate in (path, *(beside(path, suffix) for suffix in SIDE_FILES)):
        found = _look(candidate)
        if found is not None:
            _check_kind(candidate, found)
    main = _look(path)
    # SQLite would delete a log beside an empty file on opening it: the only evidence.
    if log and log.st_size and main and not main.st_size:
        raise BrokenJournalError(
            f"The journal {path} is empty although its log is not: it was cut off.",
            hint="Restore it from a backup; both files were left as they are.",
        )


def _look(path: Path) -> os.stat_result | None:
    with explained("reach", path), suppress(FileNotFoundError):
        return path.lstat()
    return None


def _check_kind(path: Path, found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise JournalError(f"The journal {path} is a symbolic link: refused.", hint=HINT)
    if stat.S_ISDIR(found.st_mode):
        raise JournalError(f"The journal {path} is a directory.", hint=HINT)
    if not stat.S_ISREG(found.st_mode):
        raise JournalError(f"The journal {path} is not a regular file.", hint=HINT)
    if found.st_uid != os.geteuid():
        owner = f"another user (uid {found.st_uid})"
        raise JournalError(f"The journal {path} belongs to {owner}: refused.", hint=HINT)


@contextmanager
def explained(operation: str, path: Path) -> Iterator[None]:
    """JournalError for every OSError."""
    try:
        yield
    except OSError as error:
        raise JournalError(
            f"Cannot {operation} the journal {path}: {error.strerror}.", hint=HINT
        ) from error


def remove(path: Path) -> None:
    """Remove what was built aside, with all that SQLite put beside it. Raises OSError."""
    for candidate in (path, *(beside(path, suffix) for suffix in SIDE_FILES)):
        candidate.unlink(missing_ok=True)
