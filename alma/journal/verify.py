"""Whether the journal is what was written: its chain first, then what stands around it."""

from __future__ import annotations

import sqlite3

from alma.core.struct import Frozen
from alma.journal.chain import Break, ChainWalk, EventRow, Head, LeaseRow, lease_break
from alma.journal.rows import EVENTS, LEASES, RUNS, to_run
from alma.journal.sqlite.connection import create
from alma.journal.sqlite.errors import ERRORS, is_passing


class Verdict(Frozen):
    """What `verify` found. `head` is the last good event; `first_break` is None if all is well."""

    events: int
    runs: int
    head: Head
    first_break: Break | None

    @property
    def ok(self) -> bool:
        """Whether the journal is what was written."""
        return self.first_break is None


def verify(connection: sqlite3.Connection, expected: Head | None) -> Verdict:
    """Walk the chain inside the caller's read transaction. Raises sqlite3.Error for a lock."""
    walk, runs = ChainWalk({}, {}), 0
    try:
        listed = {row[1]: to_run(row) for row in connection.execute(RUNS)}
        leases = [LeaseRow._make(row) for row in connection.execute(f"{LEASES} ORDER BY number")]
        walk = ChainWalk(listed, {(lease.target, lease.epoch): lease.run for lease in leases})
        runs = len(listed)
        broken = _along_the_chain(connection, walk, expected) or _around_it(connection, leases)
    except ERRORS as error:
        if is_passing(error):
            raise
        broken = _of_the_file(f"the file is damaged: {error}")
    return Verdict(events=walk.head.position, runs=runs, head=walk.head, first_break=broken)


def _along_the_chain(
    connection: sqlite3.Connection, walk: ChainWalk, expected: Head | None
) -> Break | None:
    try:
        for values in connection.execute(f"{EVENTS} ORDER BY position"):
            row = EventRow._make(values)
            if broken := walk.step(row):
                return broken
            if expected and row.position == expected.position and row.hash != expected.hash:
                problem = "not the event of the expected head: the chain was rewritten"
                return Break(position=row.position, run=row.run, seq=row.seq, problem=problem)
    except ERRORS as error:
        if is_passing(error):
            raise
        return _after(walk.head, f"cannot be read: {error}")
    if expected and expected.position > walk.head.position:
        problem = f"the tail is missing: the expected head is at position {expected.position}"
        return _after(walk.head, problem)
    return walk.end()


def _around_it(connection: sqlite3.Connection, leases: list[LeaseRow]) -> Break | None:
    if problem := lease_break(leases) or _schema_problem(connection):
        return _of_the_file(problem)
    (answer,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    return None if answer == "ok" else _of_the_file(f"the file is damaged: {answer}")


def _schema_problem(connection: sqlite3.Connection) -> str:
    """Which table, guard or view is missing or changed; what others added is not looked at."""
    query = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
    found = dict(connection.execute(query).fetchall())
    pristine = sqlite3.connect(":memory:", isolation_level=None)
    try:
        create(pristine)
        wanted = pristine.execute(query).fetchall()
    finally:
        pristine.close()
    for name, sql in wanted:
        if name not in found:
            return f"{name} is missing from the schema"
        if found[name] != sql:
            return f"{name} was changed in the schema"
    return ""


def _after(head: Head, problem: str) -> Break:
    return Break(position=head.position + 1, run="", seq=0, problem=problem)


def _of_the_file(problem: str) -> Break:
    return Break(position=0, run="", seq=0, problem=problem)
