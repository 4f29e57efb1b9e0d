"""Where the files go, private to their owner, and how they go away again."""

from __future__ import annotations

import json
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

# Says that a directory was made here, so that the last one out may remove it.
_MARK = ".made-by-alma-local"


def data_dir(configured: str | None, project: str, stack: str) -> Path:
    """The data directory, absolute: `configured`, or one below the user's state directory.

    The default is `$XDG_STATE_HOME/alma-local/<project>-<stack>`. Raises ValueError for a relative
    path: the provider runs in another directory, so it would mean something else there.
    """
    if configured is not None:
        return absolute(configured, "data_dir")
    state = os.environ.get("XDG_STATE_HOME", "")
    home = Path(state) if Path(state).is_absolute() else Path.home() / ".local" / "state"
    return home / "alma-local" / f"{project}-{stack}"


def absolute(path: str, what: str) -> Path:
    """`path` with `~` expanded and normalized; ValueError, naming `what`, when it is relative."""
    expanded = Path(path).expanduser()
    if not expanded.is_absolute():
        raise ValueError(f"{what} must be an absolute path, not {path!r}")
    return Path(os.path.normpath(expanded))


def make_directory(directory: Path) -> None:
    """Make the directory, 0700, with its parents. One that exists is taken as it is."""
    while True:
        _make_parents(directory)
        try:
            directory.mkdir(mode=0o700)
            (directory / _MARK).touch(mode=0o600)
            return
        except FileExistsError:
            return
        except FileNotFoundError:
            continue  # a neighbour has just taken the empty parent, or this one, away: again


def _make_parents(directory: Path) -> None:
    """As `mkdir(parents=True)`, which asks the umask for the mode of each."""
    for parent in reversed(directory.parents):
        if not parent.is_dir():
            with suppress(FileExistsError):
                parent.mkdir(mode=0o700)


def release_directory(directory: Path) -> None:
    """Remove the directory if it was made by `make_directory` and nothing else is in it."""
    try:
        if {entry.name for entry in directory.iterdir()} != {_MARK}:
            return
        (directory / _MARK).unlink()
        directory.rmdir()
    except FileNotFoundError:
        return
    except OSError:
        (directory / _MARK).touch(mode=0o600)  # something has come in meanwhile: still ours


def write_private(path: Path, content: Any) -> None:
    """Write `content` as JSON, 0600, so that a reader sees the old file or the new one whole."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def read_json(path: Path) -> Any:
    """The JSON in the file, or None when there is no file or no JSON in it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
