"""The one place where an error of SQLite becomes alma's, with its cause chained."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from alma.errors import JournalError
from alma.journal.sqlite import schema

ERRORS: Final = (sqlite3.Error, UnicodeDecodeError)
"""What reading a file can raise; the second where SQLite names a damaged schema in its message."""

_PERMISSIONS: Final = "Look at the permissions of the file and of its directory."
_DAMAGED: Final = "Copy it away before anything else; alma-pulumi verify names the first break."

# What is wrong and the way out, by primary result code: https://sqlite.org/rescode.html
_CAUSES: Final = {
    sqlite3.SQLITE_BUSY: (
        "is locked by another writer (waited {wait:g} s)",
        "Find who has it open, for example with: fuser -v {path}",
    ),
    sqlite3.SQLITE_LOCKED: ("is locked by another connection", "Try again."),
    sqlite3.SQLITE_FULL: ("is on a disk that is full", "Make room and go on with resume."),
    sqlite3.SQLITE_IOERR: ("cannot be read or written ({error})", "Look at the disk."),
    sqlite3.SQLITE_CORRUPT: ("is damaged ({error})", _DAMAGED),
    sqlite3.SQLITE_NOTADB: ("is no SQLite database, or its header is damaged", _DAMAGED),
    sqlite3.SQLITE_READONLY: ("may not be written ({error})", _PERMISSIONS),
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened ({error})", _PERMISSIONS),
    sqlite3.SQLITE_PERM: ("may not be opened ({error})", _PERMISSIONS),
    sqlite3.SQLITE_AUTH: ("may not be opened ({error})", _PERMISSIONS),
}
_OF_THE_MOMENT: Final = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
}


def _code(error: Exception) -> int:
    """The primary result code; 0 for errors of the Python module itself."""
    if isinstance(error, UnicodeDecodeError):
        return sqlite3.SQLITE_CORRUPT
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def is_passing(error: Exception) -> bool:
    """Whether it says something about this moment, and nothing about the file's content."""
    return _code(error) in _OF_THE_MOMENT


@contextmanager
def translated(operation: str, path: Path, wait: float) -> Iterator[None]:
    """JournalError for every error of SQLite; `wait` is the busy timeout in seconds."""
    try:
        yield
    except ERRORS as error:
        what, hint = _CAUSES.get(_code(error), ("failed ({error})", ""))
        what, hint = (text.format(wait=wait, error=error, path=path) for text in (what, hint))
        raise JournalError(f"Cannot {operation}: the journal {path} {what}.", hint=hint) from error


def not_ours(path: Path, owner: int, version: int) -> JournalError:
    """Why a sound SQLite database is refused: it is another program's, or a newer alma's."""
    if owner != schema.APPLICATION_ID:
        return JournalError(
            f"{path} is an SQLite database of something else, not alma's journal.",
            hint="Give another path with --journal.",
        )
    return JournalError(
        f"The journal {path} was written by a newer alma: its schema is version {version}, "
        f"this one knows {schema.VERSION}.",
        hint="Upgrade alma; nothing was changed.",
    )
