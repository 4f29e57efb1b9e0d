"""That nobody else has put it there: asked of alma's directory before anything in it is read.

State, passphrase, journal and snapshots decide what is run, and with which credentials. In a
directory that others can write to, they may have made all of it.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from alma.errors import RefusedError
from alma.system.files import HOME

_OTHERS_WRITE: Final = 0o022
_OTHERS_ENTER: Final = 0o011


def require_own(directory: Path, *parts: str) -> None:
    """Raise RefusedError unless the directory and these parts of it are this user's alone.

    None may be a link or another user's, or be open to the writing of others. What is missing is
    fine. Of a directory that the user has named (any but `.alma`) the parts alone are asked.
    """
    entered = True
    if directory.name == HOME:
        found = _look(directory)
        if found is None:
            return
        _require(directory, found, entered=True)
        entered = bool(found.st_mode & _OTHERS_ENTER)
    for name in parts:
        path = directory / name
        if (part := _look(path)) is not None:
            _require(path, part, entered=entered)
            if entered and stat.S_ISDIR(part.st_mode) and part.st_mode & _OTHERS_ENTER:
                _require_whole(path)


def _require_whole(directory: Path) -> None:
    """The same of all that is in it, where others can get in. A link in it is its maker's own."""
    try:
        entries = list(os.scandir(directory))
    except OSError as error:
        raise _refusal(directory, f"cannot be looked at ({error.strerror})", "") from error
    for entry in entries:
        path = Path(entry.path)
        if (found := _look(path)) is None or stat.S_ISLNK(found.st_mode):
            continue
        _require(path, found, entered=True)
        if stat.S_ISDIR(found.st_mode) and found.st_mode & _OTHERS_ENTER:
            _require_whole(path)


def _require(path: Path, found: os.stat_result, *, entered: bool) -> None:
    if stat.S_ISLNK(found.st_mode):
        hint = "Have in its place what it leads to, if that is yours."
        raise _refusal(path, "is a symbolic link", hint)
    if found.st_uid != os.geteuid():
        hint = "Go to a directory of your own, or be who it belongs to. Nothing in it was read."
        raise _refusal(path, f"belongs to another user (uid {found.st_uid})", hint)
    # Where nobody else can get in, nobody else can write.
    if entered and found.st_mode & _OTHERS_WRITE:
        hint = f"See that all in it is yours, then: chmod -R go-w {path}"
        raise _refusal(path, "can be written by others", hint)


def _look(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _refusal(path, f"cannot be looked at ({error.strerror})", "") from error


def _refusal(path: Path, why: str, hint: str) -> RefusedError:
    return RefusedError(f"{path} {why}: refused.", hint=hint)
