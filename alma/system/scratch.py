"""Directories for a while, gone with whoever made them, or removed by the next who looks.

Who is killed removes nothing. So each holds a file that its maker keeps locked for as long as it
lives: whoever gets that lock has proven that it is dead, on whatever host or in whatever pid
namespace it was.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from alma.system.files import FileLock, try_lock

PREFIX: Final = "alma-"
SHORT: Final = "/tmp"  # noqa: S108 - a directory of this user's alone is made there
"""Where those go whose path must be short."""
_HELD: Final = ".alma-held"

_kept: dict[Path, FileLock | None] = {}


@contextmanager
def scratch(kind: str, place: str | None = None) -> Iterator[Path]:
    """A new directory, named by what it is for; `place` is where, else where temporary files go."""
    directory = make(kind, place)
    try:
        yield directory
    finally:
        forget(directory)


def make(kind: str, place: str | None = None) -> Path:
    """A new directory, which stays until it is forgotten, or its process ends."""
    while True:
        directory = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{kind}-", dir=place))
        held = directory / _HELD
        try:
            lock = try_lock(held)
        except OSError:  # a file system without locks: nothing is ever proven of this one
            held.unlink(missing_ok=True)
            _kept[directory] = None
            return directory
        if lock is not None and held.exists():
            _kept[directory] = lock
            return directory
        # Somebody who looks for dead ones was faster than the lock, and removes it.


def forget(*directories: Path) -> None:
    """Remove these; all of them for a process that ends at once."""
    for directory in directories or tuple(_kept):
        lock = _kept.pop(directory, None)
        shutil.rmtree(directory, ignore_errors=True)
        if lock is not None:
            lock.release()


def sweep() -> None:
    """Remove those whose makers are proven dead, and that are this user's."""
    for place in {tempfile.gettempdir(), SHORT}:
        with suppress(OSError), os.scandir(place) as entries:
            for entry in entries:
                if entry.name.startswith(PREFIX):
                    with suppress(OSError):
                        _remove_dead(entry)


def _remove_dead(entry: os.DirEntry[str]) -> None:
    if not entry.is_dir(follow_symlinks=False):
        return
    if entry.stat(follow_symlinks=False).st_uid != os.getuid():
        return
    held = Path(entry.path, _HELD)
    if not held.exists() or (lock := try_lock(held)) is None:
        return
    try:
        shutil.rmtree(entry.path, ignore_errors=True)
    finally:
        lock.release()
