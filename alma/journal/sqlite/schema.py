"""Tables, their guards, and views as SQL: text only, run by `alma.journal.sqlite.connection`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from alma.journal.sqlite.views import views

VERSION: Final = 5
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

SEALED_SINCE: Final = 2
"""The version of the schema from which on there are seals."""

SEALS: Final = """
CREATE TABLE seals (
    run TEXT PRIMARY KEY,
    seq INTEGER NOT NULL,
    hash TEXT NOT NULL,
    digest TEXT NOT NULL,
    mac TEXT NOT NULL
) WITHOUT ROWID"""
"""By which a journal is known as one's own: one row for each run, which changes with each event of
it. It proves itself, so nothing guards it."""

NOTICED_SINCE: Final = 4
"""The version of the schema from which on there are deliveries."""

DELIVERIES: Final = (
    """
CREATE TABLE deliveries (
    run TEXT NOT NULL,
    seq INTEGER NOT NULL,
    notifier TEXT NOT NULL,
    notice TEXT NOT NULL,
    due_at TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    tried_at TEXT NOT NULL,
    not_before TEXT NOT NULL,
    error TEXT NOT NULL,
    PRIMARY KEY (run, seq, notifier, notice)
) WITHOUT ROWID""",
    "CREATE INDEX deliveries_open ON deliveries (due_at) WHERE state = 'open'",
)
"""Who is to be told of an event, and how that went: one row for each notice, which comes with its
event and changes with each attempt. What is told is made of the events, so nothing guards it."""

OBSERVED_SINCE: Final = 5
"""The version of the schema from which on there are observations."""

OBSERVATIONS: Final = (
    """
CREATE TABLE observations (
    look TEXT NOT NULL,
    step TEXT NOT NULL,
    at TEXT NOT NULL,
    target TEXT NOT NULL,
    run TEXT NOT NULL,
    actor TEXT NOT NULL,
    verdict TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (look, step)
) WITHOUT ROWID""",
    "CREATE INDEX observations_by_target ON observations (target, look)",
    *(
        f"CREATE TRIGGER observations_no_{action.lower()} BEFORE {action} ON observations "
        "BEGIN SELECT RAISE(ABORT, 'observations: rows are only ever added'); END"
        for action in ("UPDATE", "DELETE")
    ),
    """
CREATE TRIGGER observations_once BEFORE INSERT ON observations
WHEN EXISTS (SELECT 1 FROM observations WHERE look = NEW.look AND step = NEW.step)
BEGIN SELECT RAISE(ABORT, 'observations: rows are only ever added'); END""",
)
"""What looks at drift have found: one row for each step of a look. No run, and under no lease."""

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

_MADE_BY_OTHERS: Final = {
    "_sqlite_migrations": "table",  # sqlite-utils, which makes the file
    "idx__sqlite_migrations_migration_set_name": "index",
    "sqlite_sequence": "table",
    "sqlite_stat1": "table",  # SQLite itself, where somebody called ANALYZE
    "sqlite_stat4": "table",
}


def statements(version: int) -> tuple[str, ...]:
    """What makes an empty journal of a version."""
    made = [*TABLES, *GUARDS, *views(version)]
    if version >= SEALED_SINCE:
        made.append(SEALS)
    if version >= NOTICED_SINCE:
        made += DELIVERIES
    if version >= OBSERVED_SINCE:
        made += OBSERVATIONS
    return tuple(one.strip() for one in made)


def problem(found: Iterable[tuple[Any, Any, Any]], version: int) -> str:
    """What makes these objects (type, name, SQL) no schema of that version; empty if nothing.

    A trigger or a view that alma has not made is code of who made it, and runs with whoever
    reads or writes.
    """
    wanted = {statement.split(maxsplit=3)[2]: statement for statement in statements(version)}
    for kind, name, sql in found:
        if name in wanted:
            if wanted.pop(name) != sql:
                return f"{name} was changed in the schema"
        elif _MADE_BY_OTHERS.get(name) != kind and not _is_automatic(kind, name, sql):
            return f"the {kind} {name} in its schema is not alma's"
    return f"{next(iter(wanted))} is missing from the schema" if wanted else ""


def _is_automatic(kind: object, name: object, sql: object) -> bool:
    """The index of a constraint, which SQLite makes with the table."""
    return kind == "index" and sql is None and str(name).startswith("sqlite_autoindex_")
