"""Tables, their guards, and views as SQL: text only, run by `alma.journal.sqlite.connection`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from alma.core.events import NOT_RETRIED

VERSION: Final = 4
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

# What docs/journal.md tells other tools. They say what `alma.core.state.fold` says of the same
# events; the tests hold the two together.
_NOT_RETRIED: Final = {2: ("cancelled", "passphrase", "pending", "refused"), 3: NOT_RETRIED}
"""Which failures end a step at once, by the version from which on the views say so."""

_VIEWS: Final = (
    """
CREATE VIEW history AS
SELECT e.position, e.run, r.saga, r.stack, e.seq, e.at, e.epoch, e.type, e.step, e.data
FROM events e JOIN runs r ON r.run = e.run""",
    # The state is set by the last of the events that set it. Going on forward (RunResumed)
    # is one of them only after the run had ended, being attached (RunnerAttached) only once.
    """
CREATE VIEW run_states AS
SELECT r.run, r.saga, r.stack, r.kind, r.created_at,
    CASE s.type
        WHEN 'RunCreated' THEN 'PENDING'
        WHEN 'RunnerAttached' THEN 'RUNNING'
        WHEN 'CompensationStarted' THEN 'COMPENSATING'
        WHEN 'RunResumed' THEN
            CASE WHEN r.kind <> 'up' OR json_extract(s.data, '$.direction') = 'forward'
                THEN 'RUNNING' ELSE 'COMPENSATING' END
        WHEN 'RunCompleted' THEN 'COMPLETED'
        WHEN 'RunCompensated' THEN 'COMPENSATED'
        WHEN 'RunFailed' THEN 'FAILED'
    END AS state,
    CASE WHEN s.type IN ('RunCompleted', 'RunCompensated', 'RunFailed') THEN s.at END AS ended_at,
    (SELECT json_extract(e.data, '$.reason') FROM events e
        WHERE e.run = r.run AND e.type IN ('CompensationStarted', 'RunFailed')
        ORDER BY e.seq DESC LIMIT 1) AS reason,
    (SELECT max(e.seq) FROM events e WHERE e.run = r.run) AS events,
    (SELECT e.at FROM events e WHERE e.run = r.run ORDER BY e.seq DESC LIMIT 1) AS last_at
FROM runs r JOIN events s ON s.run = r.run AND s.seq = (
    SELECT max(e.seq) FROM events e WHERE e.run = r.run AND (
        e.type IN ('RunCreated', 'CompensationStarted', 'RunCompleted', 'RunCompensated',
            'RunFailed')
        OR e.type = 'RunnerAttached' AND NOT EXISTS (
            SELECT 1 FROM events p
            WHERE p.run = e.run AND p.seq < e.seq AND p.type = 'RunnerAttached')
        OR e.type = 'RunResumed' AND (
            json_extract(e.data, '$.direction') = 'back'
            OR 'RunFailed' = (
                SELECT p.type FROM events p
                WHERE p.run = e.run AND p.seq < e.seq
                    AND p.type IN ('CompensationStarted', 'RunFailed', 'RunResumed')
                ORDER BY p.seq DESC LIMIT 1))))""",
    # One row for each intent; its outcome is the last word on it before the same id is used again.
    """
CREATE VIEW operations AS
SELECT i.run, i.seq, i.step, json_extract(i.data, '$.operation') AS operation,
    json_extract(i.data, '$.kind') AS kind, json_extract(i.data, '$.attempt') AS attempt,
    i.epoch, i.at AS intended_at,
    CASE o.type
        WHEN 'OperationSucceeded' THEN 'succeeded'
        WHEN 'OperationFailed' THEN 'failed'
        WHEN 'OperationLeftInDoubt' THEN 'in doubt'
        WHEN 'OperationReconciled' THEN 'reconciled'
        ELSE 'open'
    END AS outcome,
    o.at AS ended_at, json_extract(o.data, '$.seconds') AS seconds,
    json_extract(o.data, '$.failure.kind') AS error_kind,
    json_extract(o.data, '$.failure.message') AS error,
    json_extract(i.data, '$.log') AS log
FROM events i LEFT JOIN events o ON o.run = i.run AND o.seq = (
    SELECT max(x.seq) FROM events x
    WHERE x.run = i.run AND x.seq > i.seq
        AND x.type IN ('OperationSucceeded', 'OperationFailed', 'OperationLeftInDoubt',
            'OperationReconciled')
        AND json_extract(x.data, '$.operation') = json_extract(i.data, '$.operation')
        AND NOT EXISTS (
            SELECT 1 FROM events n
            WHERE n.run = i.run AND n.seq > i.seq AND n.seq < x.seq
                AND n.type = 'OperationIntended'
                AND json_extract(n.data, '$.operation') = json_extract(i.data, '$.operation')))
WHERE i.type = 'OperationIntended'""",
    # A step's state is set by the last event about it, but for two things: a failure with
    # attempts left is none yet, and a failed step of a run that is taken up again is open again.
    """
CREATE VIEW steps AS
WITH plan AS (
    SELECT r.run, r.saga, r.stack, r.kind AS run_kind, d.key + 1 AS number,
        json_extract(d.value, '$.name') AS step, json_extract(d.value, '$.kind') AS kind,
        json_extract(d.value, '$.retry.attempts') AS may_try,
        json_extract(d.value, '$.compensation_retry.attempts') AS may_undo,
        (SELECT max(e.seq) FROM events e
            WHERE e.run = r.run AND e.step = json_extract(d.value, '$.name')
                AND e.type IN ('StepStarted', 'OperationIntended', 'OperationSucceeded',
                    'OperationFailed', 'StepCompensated', 'StepRetained')
                AND json_extract(e.data, '$.kind') IS NOT 'mend') AS last
    FROM runs r
    JOIN events c ON c.run = r.run AND c.seq = (
        SELECT max(e.seq) FROM events e
        WHERE e.run = r.run AND e.type IN ('RunCreated', 'RunResumed')
            AND json_extract(e.data, '$.definition') IS NOT NULL)
    JOIN json_each(c.data, '$.definition.steps') d
), folded AS (
    SELECT p.*,
        CASE
            WHEN l.type IS NULL THEN 'PENDING'
            WHEN l.type = 'StepStarted' THEN 'RUNNING'
            WHEN l.type = 'StepRetained' THEN 'FAILED'
            WHEN l.type = 'StepCompensated' THEN
                CASE p.run_kind WHEN 'up' THEN 'COMPENSATED' ELSE 'COMPLETED' END
            WHEN l.type = 'OperationSucceeded'
                AND json_extract(l.data, '$.kind') IN ('up', 'action') THEN 'COMPLETED'
            WHEN l.type = 'OperationFailed' AND NOT (p.run_kind <> 'up'
                AND json_extract(l.data, '$.failure.kind') = 'cancelled') AND (
                json_extract(l.data, '$.failure.kind') IN (NOT_RETRIED)
                OR (SELECT json_extract(i.data, '$.attempt') FROM events i
                    WHERE i.run = p.run AND i.step = p.step AND i.seq < p.last
                        AND i.type = 'OperationIntended' ORDER BY i.seq DESC LIMIT 1)
                    >= CASE WHEN json_extract(l.data, '$.kind') IN ('up', 'action')
                        THEN p.may_try ELSE p.may_undo END) THEN 'FAILED'
            WHEN json_extract(l.data, '$.kind') IN ('up', 'action') OR p.run_kind <> 'up'
                THEN 'RUNNING'
            ELSE 'COMPENSATING'
        END AS last_state
    FROM plan p LEFT JOIN events l ON l.run = p.run AND l.seq = p.last
)
SELECT f.run, f.saga, f.stack, f.number, f.step, f.kind,
    CASE WHEN f.last_state <> 'FAILED' OR EXISTS (
        SELECT 1 FROM events e
        WHERE e.run = f.run AND e.step = f.step AND e.type = 'StepSkipped')
    THEN f.last_state ELSE ifnull((
        SELECT CASE json_extract(e.data, '$.direction')
            WHEN 'forward' THEN 'RUNNING' ELSE 'COMPENSATING' END
        FROM events e
        WHERE e.run = f.run AND e.seq > f.last AND e.type = 'RunResumed'
            AND EXISTS (SELECT 1 FROM events p WHERE p.run = f.run AND p.seq > f.last
                AND p.seq < e.seq AND p.type = 'RunFailed')
        ORDER BY e.seq LIMIT 1), 'FAILED') END AS state,
    (SELECT count(*) FROM events e WHERE e.run = f.run AND e.step = f.step
        AND e.type = 'OperationIntended'
        AND json_extract(e.data, '$.kind') IN ('up', 'action')) AS attempts,
    (SELECT count(*) FROM events e WHERE e.run = f.run AND e.step = f.step
        AND e.type = 'OperationIntended'
        AND json_extract(e.data, '$.kind') NOT IN ('up', 'action', 'mend')) AS undo_attempts,
    (SELECT ifnull(sum(json_extract(e.data, '$.seconds')), 0.0) FROM events e
        WHERE e.run = f.run AND e.step = f.step
        AND e.type IN ('OperationSucceeded', 'OperationFailed')) AS seconds,
    (SELECT json_extract(e.data, '$.failure.message') FROM events e
        WHERE e.run = f.run AND e.step = f.step AND e.type = 'OperationFailed'
        ORDER BY e.seq DESC LIMIT 1) AS last_error
FROM folded f""",
    """
CREATE VIEW leftovers AS
SELECT r.run, r.saga, json_extract(l.value, '$.step') AS step,
    json_extract(l.value, '$.stack') AS stack, json_extract(l.value, '$.urn') AS urn,
    json_extract(l.value, '$.id') AS id, json_extract(l.value, '$.reason') AS reason, e.at
FROM runs r
JOIN events e ON e.run = r.run AND e.seq = (
    SELECT max(x.seq) FROM events x
    WHERE x.run = r.run AND x.type IN ('RunFailed', 'RunResumed'))
JOIN json_each(e.data, '$.leftovers') l
WHERE e.type = 'RunFailed'""",
)


def views(version: int) -> tuple[str, ...]:
    """The views of a version."""
    since = max(known for known in _NOT_RETRIED if known <= max(version, min(_NOT_RETRIED)))
    kinds = ", ".join(f"'{kind}'" for kind in _NOT_RETRIED[since])
    return tuple(view.replace("NOT_RETRIED", kinds) for view in _VIEWS)


def renewed_views(version: int) -> Iterator[str]:
    """What brings the views of any earlier version to this one."""
    for view in views(version):
        yield f"DROP VIEW {view.split(maxsplit=3)[2]}"
        yield view.strip()


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
