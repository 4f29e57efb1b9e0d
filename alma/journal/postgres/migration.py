"""The schema of a journal: made, brought to this alma's version, or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alma.errors import BrokenJournalError, JournalError
from alma.journal.address import PostgresUrl
from alma.journal.postgres import schema
from alma.journal.postgres.locks import key_of

if TYPE_CHECKING:
    import psycopg

    from alma.journal.postgres.session import Facts


def prepare(connection: psycopg.Connection, facts: Facts, url: PostgresUrl, *, write: bool) -> bool:
    """Whether there is a journal that this alma knows.

    With `write` it is made where there is none, and an older one brought to this version. Raises
    JournalError for what is not alma's, or a newer one's. All of it is made, or nothing.
    """
    version = _version(connection, facts, url)
    if version == schema.VERSION or not write:
        return bool(version)
    with connection.transaction():
        # Of two that begin at one moment the second waits, and finds it made.
        lock = b"SELECT pg_advisory_xact_lock(%s::bigint)"
        connection.execute(lock, (key_of(facts, "write"),))
        version = _version(connection, facts, url)
        made = schema.upgrade(version) if version else schema.statements(facts.quoted)
        for statement in made:
            connection.execute(statement.strip().encode())
    return True


def _version(connection: psycopg.Connection, facts: Facts, url: PostgresUrl) -> int:
    """Of the journal that is there; 0 where there is none."""
    here = (facts.quoted,)
    relations = connection.execute(schema.OWNED.encode(), here).fetchall()
    if not schema.is_there(relations):
        if names := schema.foreign(relations):
            raise JournalError(
                f"The schema {facts.schema} at {url} holds something else than alma's journal: "
                f"{', '.join(names)}.",
                hint="Give it a schema of its own: ?options=-csearch_path%3DNAME",
            )
        return 0
    row = connection.execute(schema.NEWEST.encode()).fetchone()
    version: int | None = row[0] if row else None
    if version is None or version > schema.VERSION:
        raise JournalError(
            f"The journal {url} was written by a newer alma: its schema is version {version}, "
            f"this one knows {schema.VERSION}.",
            hint="Upgrade alma; nothing was changed.",
        )
    triggers = connection.execute(schema.TRIGGERS.encode(), here).fetchall()
    functions = connection.execute(schema.FUNCTIONS.encode(), here).fetchall()
    if problem := schema.problem(version, facts.quoted, relations, triggers, functions):
        raise BrokenJournalError(
            f"The journal {url} cannot be trusted: {problem}.",
            hint="Compare it with a backup. Views and indexes of your own belong into another "
            "schema.",
        )
    return version
