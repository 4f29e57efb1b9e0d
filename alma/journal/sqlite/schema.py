"""The tables and their guards as SQL: text only, run by `alma.journal.sqlite.connection`."""

from __future__ import annotations

from typing import Final

from alma.journal.chain import GENESIS

VERSION: Final = 1
"""The schema version that this alma writes, in `PRAGMA user_version`.

Once released, a change to a table, guard or view needs the next number and a migration of its
own: `verify` holds a file's schema against this one.
"""

APPLICATION_ID: Final = 0x616C6D61
"""`alma` in ASCII, in `PRAGMA application_id`: whose file it is."""

TABLES: Final = (
    """
CREATE TABLE events (
    position INTEGER PRIMARY KEY,
    run TEXT NOT NULL REFERENCES runs(run),
    seq INTEGER NOT NULL,
    at TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    type TEXT NOT NULL,
    step TEXT NOT NULL,
    data TEXT NOT NULL,
    prev TEXT NOT NULL,
    hash TEXT NOT NULL,
    UNIQUE (run, seq)
)""",
    """
CREATE TABLE runs (
    position INTEGER PRIMARY KEY,
    run TEXT NOT NULL UNIQUE,
    target TEXT NOT NULL,
    saga TEXT NOT NULL,
    stack TEXT NOT NULL,
    kind TEXT NOT NULL,
    created_at TEXT NOT NULL
)""",
    "CREATE INDEX runs_by_target ON runs (target, position)",
    """
CREATE TABLE leases (
    number INTEGER PRIMARY KEY,
    target TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    run TEXT NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    started REAL NOT NULL,
    actor TEXT NOT NULL,
    acquired_at TEXT NOT NULL,
    prev TEXT NOT NULL,
    hash TEXT NOT NULL,
    UNIQUE (target, epoch)
)""",
)

# INSERT OR REPLACE deletes without firing a DELETE trigger (unless recursive_triggers is on),
# so rows are also held to the order of their numbers as they come in.
GUARDS: Final = (
    *(
        f"CREATE TRIGGER {table}_no_{action.lower()} BEFORE {action} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table}: rows are only ever added'); END"
        for table in ("events", "runs", "leases")
        for action in ("UPDATE", "DELETE")
    ),
    """
CREATE TRIGGER events_in_order BEFORE INSERT ON events
WHEN NEW.position IS NOT (SELECT ifnull(max(position), 0) + 1 FROM events)
  OR NEW.seq IS NOT (SELECT ifnull(max(seq), 0) + 1 FROM events WHERE run = NEW.run)
BEGIN SELECT RAISE(ABORT, 'events: rows are only ever added at the end'); END""",
    """
CREATE TRIGGER runs_in_order BEFORE INSERT ON runs
WHEN NEW.position IS NOT (SELECT ifnull(max(position), 0) + 1 FROM events)
  OR EXISTS (SELECT 1 FROM runs WHERE run = NEW.run)
BEGIN SELECT RAISE(ABORT, 'runs: rows are only ever added at the end'); END""",
    """
CREATE TRIGGER leases_in_order BEFORE INSERT ON leases
WHEN NEW.number IS NOT (SELECT ifnull(max(number), 0) + 1 FROM leases)
  OR NEW.epoch IS NOT (SELECT ifnull(max(epoch), 0) + 1 FROM leases WHERE target = NEW.target)
BEGIN SELECT RAISE(ABORT, 'leases: rows are only ever added at the end'); END""",
)

LAST: Final = f"""
SELECT (SELECT target FROM runs WHERE run = :run),
    (SELECT ifnull(max(epoch), 0) FROM leases WHERE target = :target),
    (SELECT ifnull(max(seq), 0) FROM events WHERE run = :run),
    (SELECT ifnull(max(position), 0) FROM events),
    ifnull((SELECT hash FROM events ORDER BY position DESC LIMIT 1), '{GENESIS}')"""
"""All that an append has to know, read inside its transaction."""
