"""What shows that a journal was tampered with, and what hides it from a chain alone."""

from __future__ import annotations

from pathlib import Path

from alma.journal.chain import GENESIS, Break, Head, Verdict, add_to_digest, row_hash
from alma.journal.rows import EventRow, LeaseRow, RunRow
from tests.journal.tools import open_at, sqlite_of

EVENTS = 8
"""How many events `fill` writes."""


COLUMNS = {
    "events": EventRow._fields,
    "runs": RunRow._fields,
    "leases": LeaseRow._fields,
}


def verified(path: Path, expected: Head | None = None) -> Verdict:
    with open_at(path, write=False) as journal:
        return journal.verify(expected)


def first_break(path: Path, expected: Head | None = None) -> Break:
    verdict = verified(path, expected)
    assert not verdict.ok
    assert verdict.first_break is not None
    return verdict.first_break


def rehashed(path: Path) -> None:
    """Compute the whole chain anew, as somebody who read the docs would."""
    with sqlite_of(path) as connection:
        guards = connection.execute("SELECT name, sql FROM sqlite_master WHERE type='trigger'")
        kept = guards.fetchall()
        for name, _ in kept:
            connection.execute(f"DROP TRIGGER {name}")
        prev = GENESIS
        for row in connection.execute("SELECT * FROM events ORDER BY position").fetchall():
            digest = row_hash(prev, row[:-2])
            update = "UPDATE events SET prev = ?, hash = ? WHERE position = ?"
            connection.execute(update, (prev, digest, row[0]))
            prev = digest
        for _, sql in kept:
            connection.execute(sql)
    resealed(path)


def resealed(path: Path) -> None:
    """Have the seals say what is there; what they are without a key is all that is computed."""
    with sqlite_of(path) as connection:
        rows = connection.execute("SELECT run, seq, hash FROM events ORDER BY position").fetchall()
        ends: dict[str, tuple[int, str, str]] = {}
        for run, seq, digest in rows:
            before = ends[run][2] if run in ends else ""
            ends[run] = (seq, digest, add_to_digest(before, digest))
        for run, end in ends.items():
            update = "UPDATE seals SET seq = ?, hash = ?, digest = ? WHERE run = ?"
            connection.execute(update, (*end, run))
