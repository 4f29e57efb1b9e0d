"""Leases' locks: advisory locks of a session, which the server lets go of with it."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import psycopg

    from alma.journal.postgres.session import Facts

_TAKE: Final = b"SELECT pg_try_advisory_lock(%s::bigint)"
_GIVE_BACK: Final = b"SELECT pg_advisory_unlock(%s::bigint)"
# A key of one number is in two halves there. Another database of the server may use the same.
_IS_TAKEN: Final = b"""
SELECT EXISTS (
    SELECT 1 FROM pg_locks
    WHERE locktype = 'advisory' AND database = %s::oid AND granted AND objsubid = 1
        AND classid = %s::oid AND objid = %s::oid)"""


def key_of(facts: Facts, purpose: str, name: str = "") -> int:
    """The number of a lock in its database: of a journal's schema, for a purpose and a name."""
    text = f"alma\0{facts.schema}\0{purpose}\0{name}"
    return int.from_bytes(sha256(text.encode()).digest()[:8], signed=True)


class HeldLock:
    """See `alma.journal.store.Lock`."""

    def __init__(self, target: str, release: Callable[[str], None]) -> None:
        self.target = target
        self.held = True
        self._release = release

    def release(self) -> None:
        """See `Lock`."""
        if self.held:
            self._release(self.target)
            self.held = False


class Locks:
    """Those that a session holds, by target."""

    def __init__(self) -> None:
        self.held: dict[str, HeldLock] = {}

    def take(
        self,
        connection: psycopg.Connection,
        facts: Facts,
        target: str,
        release: Callable[[str], None],
    ) -> HeldLock | None:
        """A lock that nobody has; a session would get its own a second time."""
        if target in self.held or not _take(connection, facts, target):
            return None
        self.held[target] = HeldLock(target, release)
        return self.held[target]

    def retake(self, connection: psycopg.Connection, facts: Facts) -> str:
        """Take all of them in a new session; the target that somebody else has by now, or empty."""
        return next((one for one in self.held if not _take(connection, facts, one)), "")

    def give_back(self, connection: psycopg.Connection, facts: Facts, target: str) -> None:
        """The session's own."""
        if self.held.pop(target, None) is not None:
            connection.execute(_GIVE_BACK, (key_of(facts, "lease", target),))

    def drop(self) -> None:
        """They are lost for good: whoever holds one must know."""
        for lock in self.held.values():
            lock.held = False
        self.held.clear()


def is_taken(connection: psycopg.Connection, facts: Facts, target: str) -> bool:
    """Whether any session holds the lock of a target."""
    key = key_of(facts, "lease", target) & (1 << 64) - 1
    halves = (facts.oid, key >> 32, key & (1 << 32) - 1)
    return bool(_value(connection, _IS_TAKEN, halves))


def _take(connection: psycopg.Connection, facts: Facts, target: str) -> bool:
    return bool(_value(connection, _TAKE, (key_of(facts, "lease", target),)))


def _value(connection: psycopg.Connection, query: bytes, values: tuple[int, ...]) -> object:
    row = connection.execute(query, values).fetchone()
    return row[0] if row else None
