"""The journal's SQLite file: opening, transactions, consistent reads.

A command that reads writes nothing. SQLite's own `mode=ro` would leave a log and an index
beside a file in WAL mode, so a file that nobody has open is read as immutable, and read again
if it changed meanwhile (https://sqlite.org/wal.html#read_only_databases).
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import uuid4

from alma.errors import BrokenJournalError, JournalError, UnavailableJournalError
from alma.journal.rows import UnreadableError
from alma.journal.sqlite import files, schema
from alma.journal.sqlite.problems import ERRORS, translated
from alma.journal.sqlite.views import renewed_views
from alma.system.files import make_directory, make_empty, publish

if TYPE_CHECKING:
    import sqlite_utils

ATTEMPTS: Final = 5
"""How often a read is begun anew because the file changed meanwhile."""

CLOSING: Final = 1000
"""For how many milliseconds who closes a journal waits for those who are reading it."""

SCHEMA: Final = "SELECT type, name, sql FROM sqlite_master"
"""What `alma.journal.sqlite.schema.problem` is asked about."""

T = TypeVar("T")


class Database:
    """One open SQLite file. Threads may share it; every method raises JournalError."""

    def __init__(self, path: Path, *, write: bool, wait: float) -> None:
        self.path = path
        self.write = write
        self._wait = wait
        self._lock = threading.RLock()
        self._seen: files.Fingerprint | None = None
        self._inodes: tuple[int, ...] = ()
        self._connection = self._open_writer() if write else self._open_reader()

    def close(self) -> None:
        """Close it, with all that was added in the file itself; the second time does nothing.

        SQLite moves it there, and removes its log, only if nobody else has the file open: not where
        somebody reads, nor where two close at once, as each is in the other's way.
        """
        with self._lock:
            if self.write:
                # What cannot be moved now stays in the log, where whoever opens the file finds it.
                with suppress(sqlite3.Error):
                    self._connection.execute(f"PRAGMA busy_timeout = {CLOSING}")
                    self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            self._connection.close()

    @contextmanager
    def transaction(self, operation: str) -> Iterator[sqlite3.Connection]:
        """One short write transaction, alone from its beginning on; rolled back on any error."""
        if not self.write:
            raise JournalError(f"The journal {self.path} was opened for reading only.")
        with self._lock, translated(operation, self.path, self._wait):
            if files.inodes(self.path) != self._inodes:
                raise JournalError(
                    f"Cannot {operation}: the journal {self.path} was removed or replaced "
                    "while it was open."
                )
            connection = self._connection
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    with suppress(sqlite3.Error):
                        connection.execute("ROLLBACK")
                raise

    def read(self, operation: str, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do the work on one consistent view of the file."""
        with self._lock, translated(operation, self.path, self._wait):
            for _ in range(ATTEMPTS):
                if self._seen != files.fingerprint(self.path) and not self._guarded:
                    self._connection.close()
                    self._connection = self._open_reader()
                try:
                    result = _snapshot(self._connection, work)
                except (*ERRORS, UnreadableError):
                    if self._guarded or self._seen == files.fingerprint(self.path):
                        raise
                else:
                    if self._guarded or self._seen == files.fingerprint(self.path):
                        return result
        words = f"The journal {self.path} changes too fast to be read. Try again."
        raise UnavailableJournalError(words)

    @property
    def _guarded(self) -> bool:
        """Whether SQLite's own locks guard what is read; if not, we look for changes ourselves."""
        return self.write or (self._seen is not None and not self._seen.at_rest)

    def _open_reader(self) -> sqlite3.Connection:
        files.check(self.path)
        self._seen = files.fingerprint(self.path)
        with translated("open", self.path, self._wait):
            if self._seen is not None:
                access = "mode=ro&immutable=1" if self._seen.at_rest else "mode=ro"
                connection = self._connect(access)
                if _is_ours(connection, self.path):
                    return connection
                connection.close()
            # There is no file, or one that nothing was ever written to: a view without runs.
            connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            create(connection, schema.VERSION)
            return connection

    def _open_writer(self) -> sqlite3.Connection:
        with files.explained("make the directory of", self.path):
            make_directory(self.path.parent)
        self._open_reader().close()  # refuses what is not ours before anything is touched
        if self._seen is None:
            self._build()
        with translated("open", self.path, self._wait):
            connection = self._connect("mode=rw")
            try:
                _set_up(connection, self.path)
            except BaseException:
                connection.close()
                raise
            self._inodes = files.inodes(self.path)
            return connection

    def _build(self) -> None:
        """Make the file aside, and give it its name when it is whole: nobody sees a half."""
        built = self.path.with_name(f"{self.path.name}.new-{uuid4().hex}")
        with files.explained("create", self.path), translated("create", self.path, self._wait):
            make_empty(built)
            try:
                connection = sqlite3.connect(built, isolation_level=None)
                try:
                    _set_up(connection, self.path)
                finally:
                    connection.close()
                publish(built, self.path)
            finally:
                files.remove(built)

    def _connect(self, access: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self.path.as_uri()}?{access}",
            uri=True,
            timeout=self._wait,
            isolation_level=None,
            check_same_thread=False,
        )
        # What somebody else has put into the schema calls nothing: https://sqlite.org/security.html
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        return connection


def _snapshot(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    """One read transaction: all that the work reads is of one moment."""
    connection.execute("BEGIN")
    try:
        return work(connection)
    finally:
        connection.execute("ROLLBACK")


def _is_ours(connection: sqlite3.Connection, path: Path) -> bool:
    """False for an empty database; JournalError, and closed, if this alma must not touch it."""
    try:
        owner, version, found = _snapshot(connection, _schema)
        if (owner, version, found) == (0, 0, []):
            return False
        if owner != schema.APPLICATION_ID or version > schema.VERSION:
            raise _not_ours(path, owner, version)
        if problem := schema.problem(found, version):
            raise BrokenJournalError(
                f"The journal {path} cannot be trusted: {problem}.",
                hint="Compare it with a backup. Views and indexes of your own belong into another "
                "database, which can ATTACH this one.",
            )
    except BaseException:
        connection.close()
        raise
    return True


def _schema(connection: sqlite3.Connection) -> tuple[int, int, list[Any]]:
    """Whose file it is, of which version, and all that is in its schema."""
    (owner,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return owner, version, connection.execute(SCHEMA).fetchall()


def _set_up(connection: sqlite3.Connection, path: Path) -> None:
    """Make a connection one that writes durably, to the newest schema."""
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise JournalError(
            f"The journal {path} is on a file system that cannot hold it (no shared memory).",
            hint="Give a path on a local disk with --journal.",
        )
    # Commits survive a power cut, not only a crash: https://sqlite.org/pragma.html
    connection.execute("PRAGMA synchronous = FULL")
    if connection.execute("PRAGMA user_version").fetchone() != (schema.VERSION,):
        _migrate(connection)


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring an empty or older file to the newest schema, all of it or nothing."""
    # Imported here: it takes longer than all else that a command does with a journal.
    import sqlite_utils
    from sqlite_utils.migrations import Migrations

    migrations = Migrations("alma")

    @migrations()
    def version_1(database: sqlite_utils.Database) -> None:
        create(database.conn, 1)

    @migrations()
    def version_2(database: sqlite_utils.Database) -> None:
        _run(database, [schema.SEALS], 2)

    @migrations()
    def version_3(database: sqlite_utils.Database) -> None:
        _run(database, renewed_views(3), 3)

    @migrations()
    def version_4(database: sqlite_utils.Database) -> None:
        _run(database, schema.DELIVERIES, 4)

    @migrations()
    def version_5(database: sqlite_utils.Database) -> None:
        _run(database, schema.OBSERVATIONS, 5)

    connection.execute("BEGIN IMMEDIATE")
    try:
        migrations.apply(sqlite_utils.Database(connection, execute_plugins=False))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _run(database: sqlite_utils.Database, statements: Iterable[str], version: int) -> None:
    for statement in statements:
        database.conn.execute(statement.strip())
    database.conn.execute(f"PRAGMA user_version = {version}")


def create(connection: sqlite3.Connection, version: int) -> None:
    """Make an empty journal, inside the caller's transaction if there is one."""
    for statement in schema.statements(version):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {version}")


def _not_ours(path: Path, owner: int, version: int) -> JournalError:
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
