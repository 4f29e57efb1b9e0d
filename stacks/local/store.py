"""The database file itself: schema, credential, messages. Standard library only."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

_SCHEMA = """
CREATE TABLE owner (name TEXT NOT NULL);
CREATE TABLE credentials (salt BLOB NOT NULL, digest BLOB NOT NULL);
CREATE TABLE messages (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
"""


class StoreError(RuntimeError):
    """The database file is missing, not one of ours, or refuses the password."""


def path_of(url: str) -> Path:
    """The file of a `sqlite:////absolute/path` URL; ValueError for anything else."""
    if not url.startswith("sqlite:////"):
        raise ValueError(f"a database URL looks like sqlite:////absolute/path, not {url!r}")
    return Path(url.removeprefix("sqlite:///"))


def create(path: Path, owner: str, password: str, greeting: str, rows: Sequence[str]) -> None:
    """Make the database, 0600, complete from the moment it is there.

    A file that an interrupted create of the same owner left is made anew. Raises StoreError when
    the file is somebody else's.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with closing(sqlite3.connect(temporary)) as db, db:
            db.executescript(_SCHEMA)
            salt = secrets.token_bytes(16)
            db.execute("INSERT INTO owner VALUES (?)", (owner,))
            db.execute("INSERT INTO credentials VALUES (?, ?)", (salt, _digest(salt, password)))
            _fill(db, greeting, rows)
        try:
            os.link(temporary, path)  # unlike a rename, it never overwrites
        except FileExistsError:
            if owner_of(path) != owner:
                raise StoreError(f"{path} is there already and is not of {owner}") from None
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def owner_of(path: Path) -> str | None:
    """Who made the database; None when there is no file, or none of ours."""
    try:
        with closing(_open(path)) as db:
            found = db.execute("SELECT name FROM owner").fetchone()
            return str(found[0]) if found else None
    except sqlite3.Error:
        return None


def fill(path: Path, greeting: str, rows: Sequence[str]) -> None:
    """Replace the messages. Raises StoreError when the file is gone or is not a database."""
    try:
        with closing(_open(path, "rw")) as db, db:
            _fill(db, greeting, rows)
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}") from error


def messages(path: Path, password: str | None = None) -> list[str]:
    """The messages, the greeting first. With a `password`, it is checked before anything is read.

    Raises StoreError when the password is refused, or the file is gone or not a database.
    """
    try:
        with closing(_open(path)) as db:
            if password is not None:
                salt, digest = db.execute("SELECT salt, digest FROM credentials").fetchone()
                if not hmac.compare_digest(digest, _digest(salt, password)):
                    raise StoreError("the database refuses the password")
            return [str(text) for (text,) in db.execute("SELECT text FROM messages ORDER BY id")]
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}") from error


def remove(path: Path) -> None:
    """Remove the database and what SQLite may have put beside it; gone already is a success."""
    for suffix in ("", "-journal", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _open(path: Path, mode: str = "ro") -> sqlite3.Connection:
    # A mode other than the default never makes an empty file where there is none.
    return sqlite3.connect(f"file:{quote(str(path))}?mode={mode}", uri=True)


def _fill(db: sqlite3.Connection, greeting: str, rows: Sequence[str]) -> None:
    db.execute("DELETE FROM messages")
    db.executemany("INSERT INTO messages (text) VALUES (?)", [(t,) for t in (greeting, *rows)])


def _digest(salt: bytes, password: str) -> bytes:
    # The password is generated, with 192 random bits: a slow hash would protect nothing more.
    return hashlib.sha256(salt + password.encode()).digest()
