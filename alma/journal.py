"""The journal: an SQLite file of events that are only ever added. Nobody else knows SQLite.

Nothing about the chain is kept in memory: the place of the next event is read inside the
transaction that adds it. So a failed commit changes nothing, and several processes may write.

A command that reads writes nothing. SQLite's own `mode=ro` would leave a log and an index
beside a journal in WAL mode, so a file that nobody has open is read as immutable, and read
again if it changed meanwhile (https://sqlite.org/wal.html#readonly).
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TypeVar
from uuid import uuid4

from alma import _journal_file as files
from alma import _journal_schema as schema
from alma.chain import (
    GENESIS,
    Break,
    EventRow,
    Head,
    LeaseRow,
    RunRow,
    Walk,
    decode_problem,
    hash_problem,
    lease_break,
    link,
)
from alma.errors import JournalError, RunnerBusyError, RunNotFoundError, StaleEpochError
from alma.events import Event, Process, Recorded, RunCreated, decode, encode
from alma.lease import (
    Holder,
    Lease,
    current_process,
    is_locked,
    lock_path,
    may_live,
    try_lock,
)

__all__ = ["Break", "Head", "Journal", "RunRow", "Verdict", "utc_now"]

BUSY_SECONDS: Final = 5.0
"""How long a writer waits for another one: a commit takes well under a millisecond."""

_EVENTS: Final = f"SELECT {', '.join(EventRow._fields)} FROM events"
_LEASES: Final = f"SELECT {', '.join(LeaseRow._fields)} FROM leases"
_RUNS: Final = "SELECT position, run, target, saga, stack, kind, created_at FROM runs"

T = TypeVar("T")


def utc_now() -> datetime:
    """The time of day, aware."""
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What `verify` found. `head` is the last good event; `first_break` is None if all is well."""

    events: int
    runs: int
    head: Head
    first_break: Break | None

    @property
    def ok(self) -> bool:
        """Whether the journal is what was written."""
        return self.first_break is None


class Journal:
    """One journal file. Safe to share between threads; a context manager.

    Every method raises JournalError when the file cannot be read, written or trusted.
    """

    def __init__(self, path: Path, *, write: bool, clock: Callable[[], datetime], wait: float):
        self.path = path
        self.write = write
        self._clock = clock
        self._wait = wait
        self._lock = threading.RLock()
        self._seen: tuple[bool, int, int, int] | None = None
        self._connection = self._open_writer() if write else self._open_reader()

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        write: bool,
        clock: Callable[[], datetime] = utc_now,
        wait: float = BUSY_SECONDS,
    ) -> Journal:
        """Open it; `wait` is how many seconds to wait for another writer.

        With `write` the file (0600) and its directory (0700) are made when missing. Without,
        nothing is ever written, and a missing file is read as one without runs.
        """
        return cls(path.absolute(), write=write, clock=clock, wait=wait)

    def close(self) -> None:
        """Close it; the second time does nothing."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # -- leases ------------------------------------------------------------------------------

    def acquire(
        self, target: str, run: str, *, actor: str = "", process: Process | None = None
    ) -> Lease:
        """Take the lease on a target for this run; RunnerBusyError while somebody holds it."""
        process = process or current_process()
        path = lock_path(self.path, target)
        files.make_directory(path.parent)
        try:
            descriptor = try_lock(path)
        except OSError as error:
            raise JournalError(f"The lease {path} cannot be taken: {error.strerror}.") from error
        if descriptor is None:
            raise self._busy(target)
        lease = Lease(
            target=target,
            run=run,
            epoch=0,
            process=process,
            actor=actor,
            acquired_at=self._clock(),
            descriptor=descriptor,
        )
        try:
            with self._transaction(f"take the lease on {target}") as connection:
                lease.epoch = self._insert_lease(connection, lease)
        except BaseException:
            lease.release()
            raise
        return lease

    def _insert_lease(self, connection: sqlite3.Connection, lease: Lease) -> int:
        last = connection.execute(f"{_LEASES} ORDER BY number DESC LIMIT 1").fetchone()
        number, prev = (last[0] + 1, last[-1]) if last else (1, GENESIS)
        epoch = _latest_epoch(connection, lease.target) + 1
        process = lease.process
        columns = (
            number,
            lease.target,
            epoch,
            lease.run,
            process.host,
            process.pid,
            float(process.started),
            lease.actor,
            _stamp(lease.acquired_at),
            prev,
        )
        row = (*columns, link(prev, columns[:-1]))
        connection.execute(f"INSERT INTO leases VALUES ({_marks(row)})", row)
        return epoch

    def _busy(self, target: str) -> RunnerBusyError:
        """Name the holder. It has the lock a moment before its row: wait for that one."""
        deadline = time.monotonic() + 1.0
        holder = self.holder(target)
        while (holder is None or not may_live(holder.process)) and time.monotonic() < deadline:
            time.sleep(0.02)
            holder = self.holder(target)
        if holder is None or not may_live(holder.process):
            return RunnerBusyError(
                f"Another runner is just starting on {target}.", hint="Try again in a moment."
            )
        return RunnerBusyError(
            f"Another runner holds {target}: pid {holder.process.pid} on {holder.process.host}, "
            f"since {_stamp(holder.acquired_at)}, run {holder.run}.",
            hint=f"Wait for it, or stop it with: kill -INT {holder.process.pid}",
        )

    def latest_epoch(self, target: str) -> int:
        """The epoch of the last lease on a target; 0 before the first."""
        return self._read("read the leases", lambda c: _latest_epoch(c, target))

    def holder(self, target: str) -> Holder | None:
        """The last lease on a target, live or not; None when there never was one."""

        def work(connection: sqlite3.Connection) -> LeaseRow | None:
            query = f"{_LEASES} WHERE target = ? ORDER BY epoch DESC LIMIT 1"
            row = connection.execute(query, (target,)).fetchone()
            return LeaseRow._make(row) if row else None

        row = self._read("read the leases", work)
        if row is None:
            return None
        return Holder(
            target=target,
            run=row.run,
            epoch=row.epoch,
            process=Process(host=row.host, pid=row.pid, started=row.started),
            actor=row.actor,
            acquired_at=datetime.fromisoformat(row.acquired_at),
            live=self.is_held(target),
        )

    def is_held(self, target: str) -> bool:
        """Whether a live runner holds the lease on a target. Writes nothing."""
        path = lock_path(self.path, target)
        try:
            return is_locked(path)
        except OSError as error:
            raise JournalError(f"The lease {path} cannot be read: {error.strerror}.") from error

    # -- adding events -----------------------------------------------------------------------

    def create_run(self, run: str, event: RunCreated, lease: Lease) -> Recorded:
        """List a new run together with its first event."""
        return self._append(run, event, lease, create=event)

    def append(self, run: str, event: Event, lease: Lease) -> Recorded:
        """Add one event, durably: when this returns, it is on disk.

        Raises StaleEpochError when the lease was released or taken over, RunNotFoundError
        before `create_run`; JournalError also for what JSON cannot hold.
        """
        return self._append(run, event, lease, create=None)

    def _append(
        self, run: str, event: Event, lease: Lease, *, create: RunCreated | None
    ) -> Recorded:
        data = _to_text(event)
        if not lease.held or lease.run != run:
            raise StaleEpochError(f"The lease on {lease.target} is not held for run {run}.")
        at = self._clock()
        with self._transaction(f"write {event.type} of run {run}") as connection:
            last = connection.execute(schema.LAST, {"run": run, "target": lease.target}).fetchone()
            target, epoch, seq, position, prev = last
            if epoch != lease.epoch:
                raise StaleEpochError(
                    f"The lease on {lease.target} was taken over: epoch {lease.epoch} is stale, "
                    f"{epoch} is the last.",
                    hint="Another runner drives it now; see alma-pulumi status.",
                )
            if create is not None:
                self._insert_run(connection, run, create, lease, position + 1, at)
            elif target is None:
                raise RunNotFoundError(f"There is no run {run} in {self.path}.")
            elif target != lease.target:
                raise JournalError(f"Run {run} is of {target}, the lease of {lease.target}.")
            prev = prev or GENESIS
            columns = (position + 1, run, seq + 1, _stamp(at), lease.epoch, event.type, event.step)
            digest = link(prev, (*columns, data))
            connection.execute(
                f"INSERT INTO events VALUES ({_marks(EventRow._fields)})",
                (*columns, data, prev, digest),
            )
        return Recorded(run=run, seq=seq + 1, at=at, epoch=lease.epoch, event=event, hash=digest)

    def _insert_run(
        self,
        connection: sqlite3.Connection,
        run: str,
        event: RunCreated,
        lease: Lease,
        position: int,
        at: datetime,
    ) -> None:
        target = f"{event.saga}/{event.stack}"
        if target != lease.target:
            raise JournalError(f"Run {run} is of {target}, the lease of {lease.target}.")
        if connection.execute("SELECT 1 FROM runs WHERE run = ?", (run,)).fetchone():
            raise JournalError(f"There is a run {run} in {self.path} already.")
        row = (position, run, target, event.saga, event.stack, event.kind, _stamp(at))
        connection.execute(f"INSERT INTO runs VALUES ({_marks(row)})", row)

    # -- reading -----------------------------------------------------------------------------

    def events(self, run: str, after: int = 0) -> list[Recorded]:
        """The run's events in order, those with a seq above `after`; [] for an unknown run.

        Each row is held against its hash: an edited or damaged one raises JournalError.
        """

        def work(connection: sqlite3.Connection) -> list[EventRow]:
            query = f"{_EVENTS} WHERE run = ? AND seq > ? ORDER BY seq"
            return [EventRow._make(row) for row in connection.execute(query, (run, after))]

        rows = self._read(f"read run {run}", work)
        for expected, row in enumerate(rows, start=after + 1):
            problem = "" if row.seq == expected else f"seq {expected} is missing"
            problem = problem or hash_problem(row) or decode_problem(row)
            if problem:
                raise JournalError(
                    f"The journal {self.path} cannot be trusted: run {run}, seq {row.seq}: "
                    f"{problem}.",
                    hint="alma-pulumi verify names the first break.",
                )
        return [_to_recorded(row) for row in rows]

    def runs(self, limit: int | None = 20, target: str | None = None) -> list[RunRow]:
        """The runs, newest first (by their place, not by the clock); of one target if given."""

        def work(connection: sqlite3.Connection) -> list[RunRow]:
            where, values = ("", ()) if target is None else (" WHERE target = ?", (target,))
            query = f"{_RUNS}{where} ORDER BY position DESC LIMIT ?"
            rows = connection.execute(query, (*values, -1 if limit is None else limit))
            return [_to_run(row) for row in rows]

        return self._read("list the runs", work)

    def run(self, run: str) -> RunRow:
        """The run with exactly that id; RunNotFoundError when there is none."""

        def work(connection: sqlite3.Connection) -> Any:
            return connection.execute(f"{_RUNS} WHERE run = ?", (run,)).fetchone()

        row = self._read(f"find run {run}", work)
        if row is None:
            raise RunNotFoundError(f"There is no run {run} in {self.path}.")
        return _to_run(row)

    def resolve(self, reference: str) -> str:
        """The id of the run that `latest`, an id or a unique prefix of one means.

        Raises RunNotFoundError, with the ids that come into question.
        """
        newest = [row.run for row in self.runs(limit=5)]
        if not newest:
            raise RunNotFoundError(f"There are no runs in {self.path} yet.")
        if reference == "latest":
            return newest[0]

        def work(connection: sqlite3.Connection) -> list[str]:
            query = "SELECT run FROM runs WHERE run >= ? AND run < ? || char(1114111) LIMIT 6"
            return [run for (run,) in connection.execute(query, (reference, reference))]

        found = self._read("list the runs", work) if reference else []
        if reference in found or len(found) == 1:
            return found[0]
        if found:
            more = ", ..." if len(found) > 5 else ""  # noqa: PLR2004 - one more than is shown
            raise RunNotFoundError(
                f"{reference!r} fits several runs: {', '.join(found[:5])}{more}.",
                hint="Give more of the id.",
            )
        raise RunNotFoundError(
            f"There is no run {reference!r} in {self.path}.",
            hint=f"The newest are: {', '.join(newest)}.",
        )

    # -- trust -------------------------------------------------------------------------------

    def head(self) -> Head:
        """The place and hash of the last event. Keep it elsewhere, to `verify` against later."""
        return self._read("read the last event", _head)

    def verify(self, expected: Head | None = None) -> Verdict:
        """Walk the whole chain and check the file; `expected` is an earlier `head()`."""

        def work(connection: sqlite3.Connection) -> Verdict:
            walk = Walk({}, {})
            broken: Break | None
            runs = 0
            connection.execute("BEGIN")  # one snapshot for all that is read
            try:
                listed = {row[1]: _to_run(row) for row in connection.execute(_RUNS)}
                leases = [
                    LeaseRow._make(row) for row in connection.execute(f"{_LEASES} ORDER BY 1")
                ]
                walk = Walk(listed, {(lease.target, lease.epoch): lease.run for lease in leases})
                runs = len(listed)
                broken = _walk(connection, walk, expected) or _other_break(connection, leases)
            except sqlite3.Error as error:
                if _is_passing(error):
                    raise
                broken = Break(position=0, run="", seq=0, problem=f"the file is damaged: {error}")
            finally:
                connection.execute("ROLLBACK")
            return Verdict(events=walk.head.position, runs=runs, head=walk.head, first_break=broken)

        return self._read("verify", work)

    # -- SQLite ------------------------------------------------------------------------------

    @contextmanager
    def _transaction(self, operation: str) -> Iterator[sqlite3.Connection]:
        """One short write transaction, alone from its beginning on; rolled back on any error."""
        if not self.write:
            raise JournalError(f"The journal {self.path} was opened for reading only.")
        with self._lock, _translated(operation, self.path, self._wait):
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

    def _read(self, operation: str, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do the work on a consistent view of the file."""
        with self._lock, _translated(operation, self.path, self._wait):
            for _ in range(5):
                if self.write or (self._seen is not None and not self._seen[0]):
                    return work(self._connection)
                if files.fingerprint(self.path) != self._seen:
                    self._connection.close()
                    self._connection = self._open_reader()
                try:
                    result = work(self._connection)
                except sqlite3.Error:
                    if files.fingerprint(self.path) == self._seen:
                        raise
                else:
                    if files.fingerprint(self.path) == self._seen:
                        return result
        raise JournalError(f"The journal {self.path} changes too fast to read it. Try again.")

    def _open_reader(self) -> sqlite3.Connection:
        files.check_file(self.path)
        self._seen = files.fingerprint(self.path)
        with _translated("open", self.path, self._wait):
            if self._seen is not None:
                access = "mode=ro&immutable=1" if self._seen[0] else "mode=ro"
                connection = self._connect(access)
                if self._is_alma(connection):
                    return connection
                connection.close()
            # There is no file, or one that nothing was ever written to: a view without runs.
            connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            _create(connection)
            return connection

    def _open_writer(self) -> sqlite3.Connection:
        files.make_directory(self.path.parent)
        self._open_reader().close()  # refuses what is not ours before anything is touched
        if self._seen is None:
            self._build()
        with _translated("open", self.path, self._wait):
            connection = self._connect("mode=rw")
            try:
                _set_up(connection)
                self._is_alma(connection)
            except BaseException:
                connection.close()
                raise
            return connection

    def _build(self) -> None:
        """Make the file aside, and give it its name when it is whole: nobody sees a half."""
        built = self.path.with_name(f"{self.path.name}.new-{uuid4().hex}")
        try:
            with _translated("create", self.path, self._wait):
                files.make_empty(built)
                try:
                    connection = sqlite3.connect(built, isolation_level=None)
                    try:
                        _set_up(connection)
                    finally:
                        connection.close()
                except BaseException:
                    built.unlink()
                    raise
                files.publish(built, self.path)
        except OSError as error:
            raise JournalError(
                f"The journal {self.path} cannot be created: {error.strerror}.",
                hint="Give another path with --journal.",
            ) from error

    def _connect(self, access: str) -> sqlite3.Connection:
        return sqlite3.connect(
            f"{self.path.as_uri()}?{access}",
            uri=True,
            timeout=self._wait,
            isolation_level=None,
            check_same_thread=False,
        )

    def _is_alma(self, connection: sqlite3.Connection) -> bool:
        """False for an empty database; JournalError for one that this alma must not touch."""
        try:
            (owner,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            (objects,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if owner == 0 and version == 0 and objects == 0:
                return False
            if owner != schema.APPLICATION_ID:
                raise JournalError(
                    f"{self.path} is an SQLite database of something else, not alma's journal.",
                    hint="Give another path with --journal.",
                )
            if version > schema.VERSION:
                raise JournalError(
                    f"The journal {self.path} was written by a newer alma: its schema is version "
                    f"{version}, this one knows {schema.VERSION}.",
                    hint="Upgrade alma; nothing was changed.",
                )
        except BaseException:
            connection.close()
            raise
        return True


def _set_up(connection: sqlite3.Connection) -> None:
    """Make a connection one that writes durably, to the newest schema."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    _migrate(connection)


def _migrate(connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA user_version").fetchone() == (schema.VERSION,):
        return
    # Imported here: it takes longer than all else that a command does with a journal.
    from sqlite_utils import Database
    from sqlite_utils.migrations import Migrations

    migrations = Migrations("alma")

    @migrations()
    def version_1(database: Database) -> None:
        _create(database.conn)

    connection.execute("BEGIN IMMEDIATE")
    try:
        migrations.apply(Database(connection, execute_plugins=False))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _create(connection: sqlite3.Connection) -> None:
    """Make an empty journal, inside the caller's transaction if there is one."""
    for statement in (*schema.TABLES, *schema.GUARDS, *schema.VIEWS):
        connection.execute(statement.strip())
    connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {schema.VERSION}")


def _latest_epoch(connection: sqlite3.Connection, target: str) -> int:
    query = "SELECT ifnull(max(epoch), 0) FROM leases WHERE target = ?"
    (epoch,) = connection.execute(query, (target,)).fetchone()
    return int(epoch)


def _head(connection: sqlite3.Connection) -> Head:
    row = connection.execute(f"{_EVENTS} ORDER BY position DESC LIMIT 1").fetchone()
    return Head(position=row[0], hash=row[-1]) if row else Head()


def _walk(connection: sqlite3.Connection, walk: Walk, expected: Head | None) -> Break | None:
    try:
        for values in connection.execute(f"{_EVENTS} ORDER BY position"):
            row = EventRow._make(values)
            if broken := walk.step(row):
                return broken
            if expected and row.position == expected.position and row.hash != expected.hash:
                problem = (
                    "it is not the event that the expected head names: the chain was rewritten"
                )
                return Break(position=row.position, run=row.run, seq=row.seq, problem=problem)
    except sqlite3.Error as error:
        if _is_passing(error):
            raise
        position, problem = walk.head.position + 1, f"cannot be read: {error}"
        return Break(position=position, run="", seq=0, problem=problem)
    if expected and expected.position > walk.head.position:
        return Break(
            position=walk.head.position + 1,
            run="",
            seq=0,
            problem=f"the journal ends before position {expected.position}: its tail was cut off",
        )
    return walk.end()


def _other_break(connection: sqlite3.Connection, leases: list[LeaseRow]) -> Break | None:
    problem = lease_break(leases) or _schema_problem(connection)
    if not problem:
        (answer,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        problem = "" if answer == "ok" else f"the file is damaged: {answer}"
    return Break(position=0, run="", seq=0, problem=problem) if problem else None


def _schema_problem(connection: sqlite3.Connection) -> str:
    """Which table, guard or view is missing or changed; what others added is not looked at."""
    query = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
    found = dict(connection.execute(query).fetchall())
    pristine = sqlite3.connect(":memory:", isolation_level=None)
    try:
        _create(pristine)
        wanted = pristine.execute(query).fetchall()
    finally:
        pristine.close()
    for name, sql in wanted:
        if name not in found:
            return f"{name} is missing from the schema"
        if found[name] != sql:
            return f"{name} was changed in the schema"
    return ""


def _to_text(event: Event) -> str:
    try:
        data = encode(event)
        form: dict[str, Any] = {"sort_keys": True, "separators": (",", ":"), "allow_nan": False}
        text = json.dumps(data, ensure_ascii=False, **form)
        try:
            text.encode()
        except UnicodeEncodeError:  # half a surrogate pair, from undecodable bytes in a message
            text = json.dumps(data, ensure_ascii=True, **form)
    except (TypeError, ValueError, RecursionError) as error:
        raise JournalError(f"{event.type} cannot be written as JSON: {error}.") from error
    return text


def _to_recorded(row: EventRow) -> Recorded:
    return Recorded(
        run=row.run,
        seq=row.seq,
        at=datetime.fromisoformat(row.at),
        epoch=row.epoch,
        event=decode(row.type, row.step, json.loads(row.data)),
        hash=row.hash,
    )


def _to_run(row: tuple[Any, ...]) -> RunRow:
    position, run, target, saga, stack, kind, created_at = row
    return RunRow(
        position=position,
        run=run,
        target=target,
        saga=saga,
        stack=stack,
        kind=kind,
        created_at=created_at,
    )


def _stamp(at: datetime) -> str:
    """ISO 8601 in UTC with microseconds; ValueError for a naive time."""
    if at.tzinfo is None:
        raise ValueError(f"a clock must give aware times, not {at!r}")
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _marks(row: tuple[Any, ...]) -> str:
    return ", ".join("?" * len(row))


def _is_passing(error: sqlite3.Error) -> bool:
    """Whether it says something about this moment, not about the file."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM)


@contextmanager
def _translated(operation: str, path: Path, wait: float) -> Iterator[None]:
    """The one place where an error of SQLite becomes alma's."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        what, hint = _CAUSES.get(code, (f"failed: {error}", ""))
        message = f"Cannot {operation}: the journal {path} {what.format(wait=wait, error=error)}."
        raise JournalError(message, hint=hint) from error


_DAMAGED = "Copy it away first; alma-pulumi verify names the first break."
_CAUSES: Final = {
    sqlite3.SQLITE_BUSY: (
        "is locked by another writer (waited {wait:g} s)",
        "Find who has it open, for example with: fuser -v PATH",
    ),
    sqlite3.SQLITE_LOCKED: ("is locked by another connection", "Try again."),
    sqlite3.SQLITE_FULL: ("is on a disk that is full", "Make room, then resume."),
    sqlite3.SQLITE_IOERR: ("could not be read or written ({error})", "Look at the disk."),
    sqlite3.SQLITE_CORRUPT: ("is damaged ({error})", _DAMAGED),
    sqlite3.SQLITE_NOTADB: ("is no SQLite database, or its header is damaged", _DAMAGED),
    sqlite3.SQLITE_READONLY: ("may not be written ({error})", "Look at its permissions."),
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened ({error})", "Look at its permissions."),
    sqlite3.SQLITE_PERM: ("may not be opened ({error})", "Look at its permissions."),
}
