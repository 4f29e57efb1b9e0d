"""Files of this user's own: private, whole or not there at all, durable, locked, and cleaned.

Private is mode 0600, and 0700 for a directory, whatever the umask. Every function raises OSError,
which the caller turns into a sentence that says what the file is for.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

CONTENTION_SECONDS: Final = 1.0
"""How long who takes a lock waits for those who only look (`is_locked`): they take microseconds."""

PRIVATE: Final = "private"
"""In an operation's directory of logs: what its program was given, for as long as it works."""

HOME: Final = ".alma"
"""alma's directory, wherever it is: nothing in it is for others, nor for a repository."""

_SAFE: Final = os.O_CLOEXEC | os.O_NOFOLLOW
_BLOCK: Final = 4096
"""Bytes. A full disk may still take the name of a file."""

_made: set[Path] = set()
"""What `make_new_directory` has made: its maker may come back to it."""


def make_directory(path: Path) -> None:
    """Make the directory and its missing parents private; one that is there stays as it is."""
    if path.is_dir():
        return
    make_directory(path.parent)
    try:
        _make(path)
    except FileExistsError:
        if not path.is_dir():  # else another process was faster
            raise


def make_new_directory(path: Path) -> None:
    """Make the directory private, and its missing parents; FileExistsError for somebody else's.

    Whatever another process has made is somebody else's. This one may ask for it again.
    """
    path = path.absolute()
    if path in _made and path.is_dir():
        return
    make_directory(path.parent)
    _make(path)
    _made.add(path)


def _make(path: Path) -> None:
    path.mkdir(0o700)
    path.chmod(0o700)  # the umask may have taken more than it should
    if path.name == HOME:
        replace(path / ".gitignore", "*\n", durable=False)


def require_room(path: Path) -> None:
    """Try whether a directory can be made, and be written to; leaves nothing behind.

    Permissions do not tell: a file system may be read-only, or be full.
    """
    while not path.exists():
        path = path.parent
    tried = path / f".alma-{os.getpid()}.{os.urandom(4).hex()}"
    try:
        tried.write_bytes(bytes(_BLOCK))
    finally:
        tried.unlink(missing_ok=True)


def make_empty(path: Path) -> None:
    """Make a new empty private file; FileExistsError when there is one."""
    os.close(_open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))


def open_log(path: Path) -> IO[bytes]:
    """A private file to append to, made when missing."""
    return os.fdopen(_open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), "ab")


def open_own(path: Path) -> IO[bytes]:
    """A file to read that is no link."""
    return os.fdopen(os.open(path, os.O_RDONLY | _SAFE), "rb")


def replace(path: Path, content: bytes | str, *, durable: bool = True) -> None:
    """Make the private file hold the content, at once or not at all.

    With `durable` it is safe on the disk when this returns, its name included: that costs
    milliseconds, so what can be made anew does without.
    """
    with _draft(path, content, durable=durable) as draft:
        draft.replace(path)
    if durable:
        sync_directory(path.parent)


def create(path: Path, content: bytes | str) -> bool:
    """Make the private file with this content, durably; False when there is one already.

    Of several that make it at one moment the first one counts, and nobody sees half of it.
    """
    with _draft(path, content, durable=True) as draft:
        return publish(draft, path)


def publish(built: Path, path: Path) -> bool:
    """Give a file that was built in the same directory its name, durably.

    False when there is a file of that name already, which stays as it is. It is renamed, not
    linked: some file systems know no hard links. Of several that do it at one moment the lock on
    their directory lets one look and rename after the other.
    """
    directory = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        if os.path.lexists(path):
            return False
        built.rename(path)
        os.fsync(directory)
    finally:
        os.close(directory)
    return True


def sync_directory(path: Path) -> None:
    """Have the names in a directory on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class FileLock:
    """A lock that was taken by `try_lock`: held until it is released, or its process ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor
        self._process = os.getpid()

    @property
    def held(self) -> bool:
        """Whether it was not released yet."""
        return self._descriptor is not None

    def release(self) -> None:
        """Give the lock back; the second time does nothing."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        if os.getpid() == self._process:
            # A forked child may share the lock: unlock it for all, do not only close it here.
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_UN)
        with suppress(OSError):
            os.close(descriptor)


def try_lock(path: Path) -> FileLock | None:
    """Lock a file, which is made when missing, in a directory that exists; None if it is locked.

    The file is never deleted: whoever waited on a deleted one would hold a lock on nothing.
    """
    descriptor = _open(path, os.O_RDWR | os.O_CREAT)
    try:
        deadline = time.monotonic() + CONTENTION_SECONDS
        while not _flock(descriptor, fcntl.LOCK_EX):
            # A shared lock is granted beside those who only look, and never beside a holder.
            looked_at = _flock(descriptor, fcntl.LOCK_SH)
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            if not looked_at or time.monotonic() > deadline:
                os.close(descriptor)
                return None
            time.sleep(0.0005 + os.urandom(1)[0] / 60_000)  # two must not keep step
    except BaseException:
        os.close(descriptor)
        raise
    return FileLock(descriptor)


def is_locked(path: Path) -> bool:
    """Whether a live process holds the lock; makes and changes nothing."""
    try:
        descriptor = os.open(path, os.O_RDONLY | _SAFE)
    except FileNotFoundError:
        return False
    try:
        return not _flock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def clean_logs(directory: Path, clean: Callable[[str], str]) -> None:
    """Rewrite the directory's log files line by line, one line in memory at a time.

    A log that is clean already is not touched. One that is not and cannot be rewritten (the disk
    is full) is deleted.
    """
    for path in directory.glob("*.log"):
        draft = path.with_name(f".{path.name}.clean")
        try:
            with _text(os.open(path, os.O_RDONLY | _SAFE), "r") as log:
                if all(clean(line) == line for line in log):
                    continue
                log.seek(0)
                with _text(_open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "w") as cleaned:
                    cleaned.writelines(clean(line) for line in log)
            draft.replace(path)
        except OSError:
            path.unlink(missing_ok=True)
            draft.unlink(missing_ok=True)


def _open(path: Path, flags: int) -> int:
    """Open a file to write to, which is private when it is made here."""
    descriptor = os.open(path, flags | _SAFE, 0o600)
    if flags & os.O_EXCL:
        os.fchmod(descriptor, 0o600)  # the umask may have taken more than it should
    return descriptor


def _text(descriptor: int, mode: str) -> IO[Any]:
    """As text that keeps bytes that are none."""
    return os.fdopen(descriptor, mode, encoding="utf-8", errors="surrogateescape", newline="")


@contextmanager
def _draft(path: Path, content: bytes | str, *, durable: bool) -> Iterator[Path]:
    """The content under a name of its own beside the path, gone at the end if not renamed."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        descriptor = _open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        with os.fdopen(descriptor, "wb") as file:
            file.write(_bytes(content))
            file.flush()
            if durable:
                os.fsync(file.fileno())
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _bytes(content: bytes | str) -> bytes:
    """Half a surrogate pair (a file name that is no text) stands as its escape."""
    return content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content


def _flock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
