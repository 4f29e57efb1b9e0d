"""The journal as a file: which paths are trusted, and how private ones are made. No SQL."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from alma.errors import JournalError

SIDE_FILES = ("-wal", "-shm", "-journal")
"""What SQLite puts beside a database, by suffix (https://sqlite.org/tempfiles.html)."""


def beside(path: Path, suffix: str) -> Path:
    """SQLite's side file of this database."""
    return path.with_name(path.name + suffix)


def is_at_rest(path: Path) -> bool:
    """Whether no process has the journal open, nor died with it open."""
    return not any(os.path.lexists(beside(path, suffix)) for suffix in ("-wal", "-journal"))


def fingerprint(path: Path) -> tuple[bool, int, int, int] | None:
    """Changes whenever the main file may have changed; None while there is no file."""
    rest = is_at_rest(path)
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise JournalError(f"The journal {path} cannot be reached: {error.strerror}.") from error
    return rest, found.st_ino, found.st_size, found.st_mtime_ns


def check_file(path: Path) -> None:
    """Refuse a path that must not be followed, read or written; a missing file is fine."""
    for candidate in (path, *(beside(path, suffix) for suffix in SIDE_FILES)):
        try:
            found = os.lstat(candidate)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise JournalError(
                f"The journal {candidate} cannot be reached: {error.strerror}."
            ) from error
        _check_kind(candidate, found)
    _check_not_cut(path)


def _check_kind(path: Path, found: os.stat_result) -> None:
    hint = "Give the path of a regular file with --journal."
    if stat.S_ISLNK(found.st_mode):
        raise JournalError(f"The journal {path} is a symbolic link: refused.", hint=hint)
    if stat.S_ISDIR(found.st_mode):
        raise JournalError(f"The journal {path} is a directory.", hint=hint)
    if not stat.S_ISREG(found.st_mode):
        raise JournalError(f"The journal {path} is not a regular file.", hint=hint)
    if found.st_uid != os.geteuid():
        raise JournalError(
            f"The journal {path} belongs to another user (uid {found.st_uid}): refused.",
            hint="Run as that user, or give another path with --journal.",
        )


def _check_not_cut(path: Path) -> None:
    """A log beside an empty file: SQLite would delete the log, the only evidence, on opening."""
    wal = beside(path, "-wal")
    if wal.exists() and wal.stat().st_size and path.exists() and not path.stat().st_size:
        raise JournalError(
            f"The journal {path} is empty although its log {wal.name} is not: it was cut off.",
            hint="Restore the file from a backup; both files were left as they are.",
        )


def make_directory(path: Path) -> None:
    """Make the directory and its missing parents, mode 0700 whatever the umask."""
    try:
        if path.is_dir():
            return
        make_directory(path.parent)
        try:
            path.mkdir(0o700)
        except FileExistsError:
            if path.is_dir():
                return  # another process was faster
            raise
        path.chmod(0o700)
    except OSError as error:
        raise JournalError(
            f"The directory {path} for the journal cannot be made: {error.strerror}.",
            hint="Give another path with --journal.",
        ) from error


def make_empty(path: Path) -> None:
    """Make a new empty file, mode 0600 whatever the umask. Raises OSError."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


def publish(built: Path, path: Path) -> None:
    """Give the built file its name, unless another process did so first. Raises OSError."""
    try:
        os.link(built, path)
    except FileExistsError:
        pass
    finally:
        built.unlink()
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
