"""The schema of a journal: made, brought to this alma's version, or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from alma.errors import JournalError
from alma.journal.address import PostgresUrl
from alma.journal.postgres import schema
from alma.journal.postgres.locks import key_of

if TYPE_CHECKING:
    import psycopg

    from alma.journal.postgres.session import Facts

_VERSION: Final = b"SELECT max(version) FROM alma_journal"


def prepare(connection: psycopg.Connection, facts: Facts, url: PostgresUrl, *, write: bool) -> bool:
    """Whether there is a journal that this alma knows; with `write` it is made where there is none.

    Raises JournalError for what is not alma's, or a newer one's. All of it is made, or nothing.
    """
    if _is_known(connection, facts, url):
        return True
    if not write:
        return False
    with connection.transaction():
        # Of two that begin at one moment the second waits, and finds it made.
        lock = b"SELECT pg_advisory_xact_lock(%s::bigint)"
        connection.execute(lock, (key_of(facts, "write"),))
        if not _is_known(connection, facts, url):
            for statement in schema.statements(facts.quoted):
                connection.execute(statement.strip().encode())
    return True


def _is_known(connection: psycopg.Connection, facts: Facts, url: PostgresUrl) -> bool:
    here = (facts.quoted,)
    relations = connection.execute(schema.OWNED.encode(), here).fetchall()
    if not schema.is_there(relations):
        if names := schema.foreign(relations):
            raise JournalError(
                f"The schema {facts.schema} at {url} holds something else than alma's journal: "
                f"{', '.join(names)}.",
                hint="Give it a schema of its own: ?options=-csearch_path%3DNAME",
            )
        return False
    row = connection.execute(_VERSION).fetchone()
    version = row[0] if row else None
    if version is None or version > schema.VERSION:
        raise JournalError(
            f"The journal {url} was written by a newer alma: its schema is version {version}, "
            f"this one knows {schema.VERSION}.",
            hint="Upgrade alma; nothing was changed.",
        )
    triggers = connection.execute(schema.TRIGGERS.encode(), here).fetchall()
    functions = connection.execute(schema.FUNCTIONS.encode(), here).fetchall()
    if problem := schema.problem(facts.quoted, relations, triggers, functions):
        raise JournalError(
            f"The journal {url} cannot be trusted: {problem}.",
            hint="Compare it with a backup. Views and indexes of your own belong into another "
            "schema.",
        )
    return True
