"""Tables and their guards as SQL, and whether a schema has them: text only, and no connection."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from alma.journal.postgres.views import READABLE, VIEWS

VERSION: Final = 3
"""The schema version that this alma writes, the last row of `alma_journal`.

Once released, a change to a table, guard or view needs the next number and a migration of its own.
"""

NOTICED_SINCE: Final = 2
"""The version of the schema from which on there are deliveries."""

OBSERVED_SINCE: Final = 3
"""The version of the schema from which on there are observations."""

NEWEST: Final = "SELECT max(version) FROM alma_journal"

_TABLES: Final = (
    """
CREATE TABLE alma_journal (
    version bigint PRIMARY KEY,
    made_at timestamptz NOT NULL DEFAULT now()
)""",
    """
CREATE TABLE runs (
    position bigint PRIMARY KEY,
    run text COLLATE "C" NOT NULL UNIQUE,
    target text COLLATE "C" NOT NULL,
    saga text NOT NULL,
    stack text NOT NULL,
    kind text NOT NULL,
    created_at text NOT NULL
)""",
    "CREATE INDEX runs_by_target ON runs (target, position)",
    """
CREATE TABLE events (
    position bigint PRIMARY KEY,
    run text COLLATE "C" NOT NULL REFERENCES runs (run),
    seq bigint NOT NULL,
    at text NOT NULL,
    epoch bigint NOT NULL,
    type text NOT NULL,
    step text NOT NULL,
    data text NOT NULL,
    prev text NOT NULL,
    hash text NOT NULL,
    UNIQUE (run, seq)
)""",
    """
CREATE TABLE leases (
    number bigint PRIMARY KEY,
    target text COLLATE "C" NOT NULL,
    epoch bigint NOT NULL,
    run text COLLATE "C" NOT NULL,
    host text NOT NULL,
    pid bigint NOT NULL,
    started double precision NOT NULL,
    actor text NOT NULL,
    acquired_at text NOT NULL,
    prev text NOT NULL,
    hash text NOT NULL,
    UNIQUE (target, epoch)
)""",
    # By which a journal is known as one's own: one row for each run, which changes with each
    # event of it. It proves itself, so nothing guards its content.
    """
CREATE TABLE seals (
    run text COLLATE "C" PRIMARY KEY,
    seq bigint NOT NULL,
    hash text NOT NULL,
    digest text NOT NULL,
    mac text NOT NULL
)""",
    # What a restore brings back, for hosts that share nothing but the journal. By its SHA-256.
    """
CREATE TABLE snapshots (
    digest text COLLATE "C" PRIMARY KEY,
    content bytea NOT NULL,
    needed_at timestamptz NOT NULL DEFAULT now()
)""",
)

_DELIVERIES: Final = (
    """
CREATE TABLE deliveries (
    run text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    notifier text NOT NULL,
    notice text NOT NULL,
    due_at text COLLATE "C" NOT NULL,
    state text NOT NULL,
    attempts bigint NOT NULL,
    tried_at text NOT NULL,
    not_before text COLLATE "C" NOT NULL,
    error text NOT NULL,
    PRIMARY KEY (run, seq, notifier, notice)
)""",
    "CREATE INDEX deliveries_open ON deliveries (due_at) WHERE state = 'open'",
)
"""As of `alma.journal.sqlite.schema.DELIVERIES`."""

_OBSERVATIONS: Final = (
    """
CREATE TABLE observations (
    look text COLLATE "C" NOT NULL,
    step text COLLATE "C" NOT NULL,
    at text NOT NULL,
    target text COLLATE "C" NOT NULL,
    run text NOT NULL,
    actor text NOT NULL,
    verdict text NOT NULL,
    data text NOT NULL,
    PRIMARY KEY (look, step)
)""",
    "CREATE INDEX observations_by_target ON observations (target, look)",
)
"""As of `alma.journal.sqlite.schema.OBSERVATIONS`."""

# Each body stands for itself in the catalog, letter by letter, and is held against this. The names
# in it are whole: whoever adds a row may have any search_path.
_BODIES: Final = {
    "rows_are_kept": "BEGIN RAISE EXCEPTION '%: rows are only ever added', TG_TABLE_NAME; END",
    "events_in_order": """
BEGIN
    IF NEW.position <> (SELECT coalesce(max(position), 0) + 1 FROM SCHEMA.events)
        OR NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM SCHEMA.events WHERE run = NEW.run)
    THEN RAISE EXCEPTION 'events: rows are only ever added at the end';
    END IF;
    RETURN NEW;
END""",
    "runs_in_order": """
BEGIN
    IF NEW.position <> (SELECT coalesce(max(position), 0) + 1 FROM SCHEMA.events)
    THEN RAISE EXCEPTION 'runs: rows are only ever added at the end';
    END IF;
    RETURN NEW;
END""",
    "leases_in_order": """
BEGIN
    IF NEW.number <> (SELECT coalesce(max(number), 0) + 1 FROM SCHEMA.leases)
        OR NEW.epoch <>
            (SELECT coalesce(max(epoch), 0) + 1 FROM SCHEMA.leases WHERE target = NEW.target)
    THEN RAISE EXCEPTION 'leases: rows are only ever added at the end';
    END IF;
    RETURN NEW;
END""",
}

_KEPT: Final = {
    "alma_journal": "UPDATE OR DELETE",
    "events": "UPDATE OR DELETE",
    "runs": "UPDATE OR DELETE",
    "leases": "UPDATE OR DELETE",
    "seals": "DELETE",  # of which each is replaced by the next
    "deliveries": "DELETE",  # likewise
    "observations": "UPDATE OR DELETE",
    "snapshots": "UPDATE OF digest, content",
}
"""What no row of a table can be made to undergo. A snapshot goes when nothing needs it any more."""


def _guards() -> dict[str, tuple[str, str]]:
    """By name of the trigger: its table, and all that makes it."""
    made: dict[str, tuple[str, str]] = {}
    for table, events in _KEPT.items():
        for name, event in ((f"{table}_kept", events), (f"{table}_not_emptied", "TRUNCATE")):
            call = f"BEFORE {event} ON {table} EXECUTE FUNCTION rows_are_kept()"
            made[name] = (table, f"CREATE TRIGGER {name} {call}")
    for table in ("events", "runs", "leases"):
        name = f"{table}_in_order"
        call = f"BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()"
        made[name] = (table, f"CREATE TRIGGER {name} {call}")
    return made


_ALL_GUARDS: Final = _guards()
_VIEW_NAMES: Final = frozenset(view.split(maxsplit=3)[2] for view in VIEWS)
_ALL_TABLES: Final = frozenset(
    table.split()[2]
    for table in (*_TABLES, *_DELIVERIES, *_OBSERVATIONS)
    if "CREATE TABLE" in table
)
_FUNCTIONS: Final = {**_BODIES, "readable": READABLE}


def _tables(version: int) -> frozenset[str]:
    later = {"deliveries": NOTICED_SINCE, "observations": OBSERVED_SINCE}
    return _ALL_TABLES - {table for table, since in later.items() if version < since}


def _guards_of(version: int) -> dict[str, tuple[str, str]]:
    tables = _tables(version)
    return {name: made for name, made in _ALL_GUARDS.items() if made[0] in tables}


OWNED: Final = """
SELECT c.relname, c.relkind::text, c.relrowsecurity, c.relhasrules
FROM pg_class c
WHERE c.relnamespace = %s::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"""
"""Relations of a schema: what `problem` and `is_there` are asked about."""

TRIGGERS: Final = """
SELECT t.tgname, c.relname, t.tgenabled::text, pg_get_triggerdef(t.oid)
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace = %s::regnamespace AND NOT t.tgisinternal"""

FUNCTIONS: Final = """
SELECT p.proname, p.prosrc, p.prosecdef, coalesce(p.proconfig::text, '')
FROM pg_proc p WHERE p.pronamespace = %s::regnamespace"""


def statements(schema: str) -> tuple[str, ...]:
    """What makes an empty journal in a schema, whose name is quoted as SQL has it."""
    functions = (
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$alma${_in(schema, body)}$alma$"
        for name, body in _BODIES.items()
    )
    readable = (
        "CREATE FUNCTION readable(data text) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS "
        f"$alma${READABLE}$alma$"
    )
    guards = (made for _, made in _ALL_GUARDS.values())
    return (
        *_TABLES,
        *_DELIVERIES,
        *_OBSERVATIONS,
        *functions,
        readable,
        *VIEWS,
        _said(VERSION),
        *guards,
    )


def upgrade(version: int) -> tuple[str, ...]:
    """What brings a journal of this version to the newest one."""
    steps = (
        (NOTICED_SINCE, "deliveries", _DELIVERIES),
        (OBSERVED_SINCE, "observations", _OBSERVATIONS),
    )
    made: list[str] = []
    for since, table, statements_ in steps:
        if version < since:
            made += statements_
            made += (guard for guarded, guard in _ALL_GUARDS.values() if guarded == table)
            made.append(_said(since))
    return tuple(made)


def _said(version: int) -> str:
    return f"INSERT INTO alma_journal (version) VALUES ({version})"


def is_there(relations: Iterable[tuple[Any, ...]]) -> bool:
    """Whether a schema holds a journal, of whichever version."""
    return any(name == "alma_journal" and kind == "r" for name, kind, *_ in relations)


def foreign(relations: Iterable[tuple[Any, ...]]) -> list[str]:
    """What stands where a new journal would."""
    return sorted({str(name) for name, *_ in relations} & (_ALL_TABLES | _VIEW_NAMES))


def problem(
    version: int,
    schema: str,
    relations: Iterable[tuple[Any, ...]],
    triggers: Iterable[tuple[Any, ...]],
    functions: Iterable[tuple[Any, ...]],
) -> str:
    """What makes this no schema of alma's of that version; empty if nothing.

    A trigger that alma has not made is code of who made it, and runs with whoever writes.
    """
    return (
        _relation_problem(_tables(version), {name: tuple(rest) for name, *rest in relations})
        or _function_problem(schema, {name: tuple(rest) for name, *rest in functions})
        or _guard_problem(_guards_of(version), schema, triggers)
    )


def _relation_problem(tables: frozenset[str], found: dict[str, tuple[Any, ...]]) -> str:
    for name in sorted(tables | _VIEW_NAMES):
        if name not in found:
            return f"{name} is missing from the schema"
        kind, secured, ruled = found[name]
        # A view is a rule itself; on a table a rule, or a policy, changes what is asked.
        as_made = (
            kind == "v" if name in _VIEW_NAMES else (kind, secured, ruled) == ("r", False, False)
        )
        if not as_made:
            return f"{name} was changed in the schema"
    return ""


def _function_problem(schema: str, found: dict[str, tuple[Any, ...]]) -> str:
    for name, body in _FUNCTIONS.items():
        if found.get(name) != (_in(schema, body), False, ""):
            return f"the function {name} was changed in the schema"
    return ""


def _guard_problem(
    missing: dict[str, tuple[str, str]], schema: str, triggers: Iterable[tuple[Any, ...]]
) -> str:
    for name, table, enabled, text in triggers:
        if table not in _ALL_TABLES:
            continue
        if missing.pop(name, ("", ""))[0] != table:
            return f"the trigger {name} in its schema is not alma's"
        if enabled not in ("O", "A") or not _is_guard(name, schema, text):
            return f"the trigger {name} was changed in the schema"
    return f"{min(missing)} is missing from the schema" if missing else ""


def _is_guard(name: str, schema: str, text: str) -> bool:
    """Whether Postgres' own words for a trigger say the same as what has made it.

    It has the actions in an order of its own, and says of each what it is for.
    """
    words = text.replace(f"{schema}.", "").replace("FOR EACH STATEMENT ", "")
    made = _ALL_GUARDS[name][1]
    return words.replace("DELETE OR UPDATE", "UPDATE OR DELETE") == made


def _in(schema: str, body: str) -> str:
    return body.replace("SCHEMA.", f"{schema}.")
