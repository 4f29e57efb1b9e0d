"""What shows that a journal was tampered with, and what hides it from a chain alone."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from alma.journal.chain import GENESIS, EventRow, LeaseRow, link
from alma.journal.journal import Break, Head, Journal, Verdict

EVENTS = 8
"""How many events `fill` writes."""


COLUMNS = {
    "events": EventRow._fields,
    "runs": ("position", "run", "target", "saga", "stack", "kind", "created_at"),
    "leases": LeaseRow._fields,
}


def verified(path: Path, expected: Head | None = None) -> Verdict:
    with Journal.open(path, write=False) as journal:
        return journal.verify(expected)


def first_break(path: Path, expected: Head | None = None) -> Break:
    verdict = verified(path, expected)
    assert not verdict.ok
    assert verdict.first_break is not None
    return verdict.first_break


def rehashed(path: Path) -> None:
    """Compute the whole chain anew, as somebody who read the docs would."""
    connection = sqlite3.connect(path, isolation_level=None)
    guards = connection.execute("SELECT name, sql FROM sqlite_master WHERE type='trigger'")
    kept = guards.fetchall()
    for name, _ in kept:
        connection.execute(f"DROP TRIGGER {name}")
    prev = GENESIS
    for row in connection.execute("SELECT * FROM events ORDER BY position").fetchall():
        digest = link(prev, row[:-2])
        update = "UPDATE events SET prev = ?, hash = ? WHERE position = ?"
        connection.execute(update, (prev, digest, row[0]))
        prev = digest
    for _, sql in kept:
        connection.execute(sql)
    connection.close()
