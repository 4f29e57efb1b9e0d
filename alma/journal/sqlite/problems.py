"""What SQLite's errors mean for a journal: in words, and whether to try again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from alma.errors import BrokenJournalError, JournalError, UnavailableJournalError
from alma.journal.rows import UnreadableError

ERRORS: Final = (sqlite3.Error, UnicodeDecodeError, OverflowError)
"""What SQLite can raise: the second where it names a damaged schema in its message, the third for
a number after the largest one."""

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
_BROKEN: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_UNAVAILABLE: Final = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
}
_OF_THE_MOMENT: Final = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
}


def _code(error: BaseException | None) -> int:
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
    except (*ERRORS, UnreadableError) as found:
        error = found.__cause__ if isinstance(found, UnreadableError) else found
        code = _code(error)
        what, hint = _CAUSES.get(code, ("failed ({error})", ""))
        what, hint = (text.format(wait=wait, error=error, path=path) for text in (what, hint))
        words = f"Cannot {operation}: the journal {path} {what}."
        raise _kind(found, code)(words, hint=hint) from error


def _kind(found: Exception, code: int) -> type[JournalError]:
    """Whether trying again is of any use."""
    if code in _UNAVAILABLE:
        return UnavailableJournalError
    read = isinstance(found, UnreadableError) and _is_of_content(found.__cause__, code)
    return BrokenJournalError if read or code in _BROKEN else JournalError


def _is_of_content(error: BaseException | None, code: int) -> bool:
    """And not of who reads: a file that may not be opened, a journal that is closed."""
    return code in (0, sqlite3.SQLITE_ERROR) and not isinstance(error, sqlite3.ProgrammingError)
