"""The journal's schema on a server: transactions, consistent reads, and a session that is lost.

A session that was lost is opened again, until a deadline. Whether its last commit was done is then
found out, never assumed; before that the session has to have ended on the server as well.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain, repeat
from typing import Final, TypeVar

import psycopg

from alma.errors import JournalError, UnavailableJournalError
from alma.journal.address import PostgresUrl
from alma.journal.postgres import migration
from alma.journal.postgres.errors import translated
from alma.journal.postgres.expected import Expected
from alma.journal.postgres.locks import Locks, key_of
from alma.journal.postgres.rows import NoRows, Rows, Statement
from alma.journal.postgres.session import Facts, open_session, secret_in
from alma.journal.rows import EventRow, UnreadableError
from alma.system.postgres import ANSWER_SECONDS

T = TypeVar("T")

LOST_SECONDS: Final = 30.0
"""How long a session that was lost is tried to be had back."""
_PAUSES: Final = (0.05, 0.1, 0.2, 0.5)

_READ: Final[tuple[Statement, ...]] = (("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", None),)
_END_SESSION: Final = b"""
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE pid = %s AND backend_start = %s::timestamptz"""


class Database:
    """One journal's schema. Threads may share it; every method raises JournalError."""

    def __init__(
        self,
        url: PostgresUrl,
        *,
        write: bool,
        wait: float,
        lost: float = LOST_SECONDS,
        answer: float = ANSWER_SECONDS,
    ) -> None:
        self.url, self.write = url, write
        self.locks = Locks()
        self._wait, self._lost, self._answer = wait, lost, answer
        self._secret = secret_in(url)
        self._gone = ""
        """Why nothing can be written any more, once that is so."""
        self._closed = False
        self._expected: Expected | None = None
        self._mutex = threading.RLock()
        with self.told("open"):
            self._connection, self.facts = open_session(url, write=write, wait=wait, answer=answer)
            try:
                self._there = migration.prepare(self._connection, self.facts, url, write=write)
            except BaseException:
                self._connection.close()
                raise

    def close(self) -> None:
        """Close it, and let go of its locks; the second time does nothing."""
        with self._mutex:
            self._closed = True
            self.locks.drop()
            self._connection.close()

    def transaction(self, what: str, work: Callable[[Rows], T]) -> T:
        """One short write transaction, alone from its beginning on; rolled back on any error."""
        if not self.write:
            raise JournalError(f"The journal {self.url} was opened for reading only.")

        with self._mutex, self.told(what):
            if self._gone:
                words = f"Cannot {what}: the journal {self.url} is lost: {self._gone}."
                raise UnavailableJournalError(words)
            before: tuple[Rows, T] | None = None
            lost, expected = _Loss(self._lost), self._expected
            self._expected, accompanied = None, False
            while True:
                connection = self.session()
                if before is not None and _is_there(connection, before[0]):
                    return before[1]
                rows = Rows(connection, self.facts.quoted, self._begin(), expected)
                expected = None
                try:
                    result = work(rows)
                    before = rows, result
                    rows.commit()
                except BaseException as error:
                    if not self._is_lost(error):
                        self._end(rows)
                        if not _is_outdated(rows, error):
                            raise
                        before, accompanied = None, True
                    elif lost.is_over():
                        raise
                else:
                    # Who has company asks the next time, too: to be refused is what takes longest.
                    self._expected = None if accompanied else rows.expected()
                    return result

    def read(self, what: str, work: Callable[[Rows], T]) -> T:
        """Do the work on one consistent view."""
        with self._mutex, self.told(what):
            lost = _Loss(self._lost)
            while True:
                connection = self.session()
                try:
                    return self._viewed(connection, work)
                except BaseException as error:
                    if not self._is_lost(error) or lost.is_over():
                        raise

    def ask(self, what: str, question: Callable[[psycopg.Connection, Facts], T]) -> T:
        """Ask the session itself, outside of any transaction."""
        with self._mutex, self.told(what):
            lost = _Loss(self._lost)
            while True:
                connection = self.session()
                try:
                    return question(connection, self.facts)
                except BaseException as error:
                    if not self._is_lost(error) or lost.is_over():
                        raise

    def give_back(self, target: str) -> None:
        """Let go of a lock; with the session it is gone anyway."""
        with self._mutex, suppress(psycopg.Error):
            if self._connection.closed:
                self.locks.held.pop(target, None)
            else:
                self.locks.give_back(self._connection, self.facts, target)

    def session(self) -> psycopg.Connection:
        """The session; where it was lost, another one with the same locks."""
        if not self._connection.closed:
            return self._connection
        if self._closed:
            raise JournalError(f"The journal {self.url} is closed.")
        deadline = time.monotonic() + (0 if self._gone else self._lost)
        for pause in chain(_PAUSES, repeat(_PAUSES[-1])):
            left = deadline - time.monotonic()
            try:
                return self._reopened(left)
            except (psycopg.Error, JournalError) as error:
                if self._gone or left <= 0 or isinstance(error, _TakenError):
                    self._lose(str(error) if isinstance(error, _TakenError) else "no connection")
                    raise
            time.sleep(min(pause, max(left, 0)))
        raise AssertionError

    @contextmanager
    def told(self, what: str) -> Iterator[None]:
        """JournalError for every error of Postgres."""
        try:
            yield
        except (psycopg.Error, UnreadableError) as error:
            raise translated(what, self.url, error, wait=self._wait, secret=self._secret) from error

    # ----------------------------------------------------------------------------------------

    def _begin(self) -> tuple[Statement, ...]:
        """Alone: what reads the place of the next row begins after whoever added the last."""
        key = key_of(self.facts, "write")
        return (("BEGIN", None), ("SELECT pg_advisory_xact_lock(%s::bigint)", (key,)))

    def _viewed(self, connection: psycopg.Connection, work: Callable[[Rows], T]) -> T:
        if not self._there:
            self._there = migration.prepare(connection, self.facts, self.url, write=False)
        if not self._there:
            return work(NoRows(connection))
        rows = Rows(connection, self.facts.quoted, _READ)
        try:
            result = work(rows)
            rows.leave()
        except BaseException:
            self._end(rows)
            raise
        return result

    def _end(self, rows: Rows) -> None:
        try:
            rows.end()
        except psycopg.Error:
            self._connection.close()

    def _is_lost(self, error: BaseException) -> bool:
        cause = error.__cause__ if isinstance(error, UnreadableError) else error
        return isinstance(cause, psycopg.Error) and self._connection.closed

    def _reopened(self, seconds: float) -> psycopg.Connection:
        connection, facts = open_session(
            self.url, write=self.write, wait=self._wait, answer=self._answer, seconds=seconds
        )
        try:
            if facts.identity != self.facts.identity:
                raise _TakenError(f"Another server answers for the journal {self.url} than before.")
            self._end_before(connection)
            if taken := self.locks.retake(connection, facts):
                raise _TakenError(
                    f"The connection to the journal {self.url} was lost, and with it the lease on "
                    f"{taken}, which another runner has taken."
                )
        except BaseException:
            connection.close()
            raise
        self._connection, self.facts = connection, facts
        return connection

    def _end_before(self, connection: psycopg.Connection) -> None:
        """End the session before, should the server not know yet that nobody is there.

        It has the locks, and what it was last told may still be under way.
        """
        old = (self.facts.pid, self.facts.since)
        deadline = time.monotonic() + self._wait
        while connection.execute(_END_SESSION, old).fetchone() is not None:
            if time.monotonic() > deadline:
                raise UnavailableJournalError(
                    f"The session before with the journal {self.url} does not end (pid {old[0]})."
                )
            time.sleep(_PAUSES[0])

    def _lose(self, why: str) -> None:
        self._gone = self._gone or why
        self.locks.drop()


class _Loss:
    """The seconds in which a session may be lost again and again, from the first time on."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._deadline: float | None = None

    def is_over(self) -> bool:
        """Whether it was lost once too often; the first time begins it."""
        if self._deadline is None:
            self._deadline = time.monotonic() + self._seconds
        return time.monotonic() > self._deadline


class _TakenError(JournalError):
    """The session can be had back, and what it had cannot."""


def _is_outdated(rows: Rows, error: BaseException) -> bool:
    """Whether it was refused by CHECK, or decided on an assumption that only that confirms."""
    refused = isinstance(error, psycopg.errors.DivisionByZero)
    decided = isinstance(error, Exception) and not isinstance(error, psycopg.Error)
    return rows.is_assumed and (refused or decided)


def _is_there(connection: psycopg.Connection, rows: Rows) -> bool:
    """Whether the commit was done that was sent: by the last row in it."""
    row = rows.last_added
    if row is None or not rows.committing:
        return False  # none was sent, or nothing but what may be done twice
    if isinstance(row, EventRow):
        query, values = b"SELECT hash FROM events WHERE run = %s AND seq = %s", (row.run, row.seq)
        return connection.execute(query, values).fetchone() == (row.hash,)
    query = b"SELECT hash FROM leases WHERE number = %s"
    return connection.execute(query, (row.number,)).fetchone() == (row.hash,)
