"""One session with a server: how it is opened, and what alma has set for it."""

from __future__ import annotations

import logging
import os
import re
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, NamedTuple

import psycopg
from psycopg.conninfo import conninfo_to_dict

from alma.errors import JournalError
from alma.journal.address import PostgresUrl
from alma.system.postgres import ANSWER_SECONDS, BoundedConnection

# What it says of a connection that is lost alma says itself; whoever wants it adds a handler.
logging.getLogger("psycopg").addHandler(logging.NullHandler())

OLDEST: Final = 14
"""The oldest major version of the server."""
CONNECT_SECONDS: Final = 10
"""How long to wait for a connection, where neither the URL nor PGCONNECT_TIMEOUT says it."""

# Of what libpq is told: the URL, and the environment, come first. A dead network is noticed within
# half a minute, and not after the hours that a system takes by itself.
_CLIENT: Final = {
    "connect_timeout": CONNECT_SECONDS,
    "application_name": "alma",
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
_NO_PLACE: Final = re.compile(r"[@?#%\s]")
_PORTS: Final = re.compile(r"[\d,]*")
_BY_ENVIRONMENT: Final = {"connect_timeout": "PGCONNECT_TIMEOUT", "application_name": "PGAPPNAME"}

# The server has to notice as soon that a host is gone, which had a lease. A session that only
# holds one is idle for as long as a step takes, and is to be let alone; one that has stopped in
# the middle of a transaction is not: everybody waits for it.
_SERVER: Final = {
    "search_path": "quote_ident(current_schema())",
    "tcp_keepalives_idle": "'10'",
    "tcp_keepalives_interval": "'5'",
    "tcp_keepalives_count": "'3'",
    "tcp_user_timeout": "'25000'",
    "idle_session_timeout": "'0'",
    "idle_in_transaction_session_timeout": "'30s'",
    "standard_conforming_strings": "'on'",
    # How it writes what is read here: times as psycopg takes them, numbers to their last digit, and
    # the schema in its own words as they are compared.
    "datestyle": "'ISO'",
    "extra_float_digits": "'1'",
    "quote_all_identifiers": "'off'",
    "lock_timeout": "%(wait)s",
    "default_transaction_read_only": "%(read_only)s",
    # Who has waited for another writer is to see what that has written, whatever a role's default.
    "default_transaction_isolation": "'read committed'",
    # Never less than that a commit is on disk; more, if the server's owner wants it.
    "synchronous_commit": "CASE current_setting('synchronous_commit') "
    "WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END",
}
_WELCOME: Final = f"""
SELECT {", ".join(f"set_config('{name}', {value}, false)" for name, value in _SERVER.items())}
WHERE current_schema() IS NOT NULL"""
_FACTS: Final = """
SELECT current_database()::text, current_schema()::text, quote_ident(current_schema()),
    (SELECT oid::bigint FROM pg_database WHERE datname = current_database()),
    pg_backend_pid(), current_setting('server_version_num')::int,
    current_setting('server_encoding'),
    (SELECT system_identifier::text FROM pg_control_system()),
    (SELECT backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid())"""


class Facts(NamedTuple):
    """What a session says of itself."""

    database: str
    schema: str
    quoted: str
    """The schema's name as SQL has it."""
    oid: int
    """The database's."""
    pid: int
    version: int
    encoding: str
    server: str
    since: str
    """When the session began: with its pid it is known for ever."""

    @property
    def identity(self) -> str:
        """Which journal it is, whatever its server is called."""
        return sha256(f"{self.server}\0{self.database}\0{self.schema}".encode()).hexdigest()


def open_session(
    url: PostgresUrl,
    *,
    write: bool,
    wait: float,
    answer: float = ANSWER_SECONDS,
    seconds: float | None = None,
) -> tuple[psycopg.Connection, Facts]:
    """Connect, within so many seconds; raises psycopg.Error, or JournalError for what is refused.

    `wait` is how long a statement waits for another session's lock, `answer` how long for any word
    of the server.
    """
    # Prepared from its first use on: what psycopg prepares later, and the server passes over behind
    # a statement that fails, psycopg takes for prepared from then on.
    connection = BoundedConnection.connect(
        **options_of(url, seconds), autocommit=True, client_encoding="UTF8", prepare_threshold=0
    )
    connection.answer_seconds = answer
    try:
        milliseconds = str(max(1, int(wait * 1000)))
        given = {"wait": milliseconds, "read_only": "off" if write else "on"}
        with pipelined(connection):
            connection.execute(_WELCOME.encode(), given)
            (row,) = connection.execute(_FACTS.encode()).fetchall()
        facts = Facts._make(row)
        _require_usable(url, connection, facts)
    except BaseException:
        connection.close()
        raise
    return connection, facts


def pipelined(connection: psycopg.Connection) -> AbstractContextManager[object]:
    """In which statements are sent together; one by one with a libpq that cannot (before 14)."""
    return connection.pipeline() if psycopg.Pipeline.is_supported() else nullcontext()


def options_of(url: PostgresUrl, seconds: float | None = None) -> dict[str, Any]:
    """What libpq is told; JournalError for a URL that it does not understand."""
    try:
        said: dict[str, Any] = dict(conninfo_to_dict(url.whole))
    except psycopg.Error:  # whose text has parts of the URL in it
        raise _no_url(url) from None
    place = f"{said.get('host') or ''}{said.get('hostaddr') or ''}"
    if _NO_PLACE.search(place) or not _PORTS.fullmatch(str(said.get("port") or "")):
        raise _no_url(url)  # half a password stands there: an error of libpq's would show it
    for name, value in _CLIENT.items():
        if name not in said and not os.environ.get(_BY_ENVIRONMENT.get(name, "")):
            said[name] = value
    if seconds is not None:
        said["connect_timeout"] = max(2, int(seconds))  # libpq takes less for more
    return said


def _no_url(url: PostgresUrl) -> JournalError:
    return JournalError(
        f"{url} is no URL that libpq understands.",
        hint="In a password, signs such as @ / ? # % are written as %40 %2F %3F %23 %25; or "
        "leave it out, and set PGPASSWORD.",
    )


def secret_in(url: PostgresUrl) -> str:
    """The password that the session is opened with, as far as it is known."""
    return str(options_of(url).get("password") or os.environ.get("PGPASSWORD") or "")


def _require_usable(url: PostgresUrl, connection: psycopg.Connection, facts: Facts) -> None:
    if connection.info.backend_pid != facts.pid:
        raise JournalError(
            f"The journal {url} is behind a connection pooler: a lease is a lock of a session, "
            "and behind a pooler nobody has one for long.",
            hint="Give the URL of the server itself.",
        )
    if facts.version < OLDEST * 10_000:
        raise JournalError(
            f"The journal {url} is on Postgres {facts.version // 10_000}: alma needs {OLDEST} or "
            "later."
        )
    if facts.encoding != "UTF8":
        raise JournalError(
            f"The journal {url} is in a database in {facts.encoding}, which cannot hold all texts.",
            hint="Make one with ENCODING 'UTF8'.",
        )
    if facts.schema is None:
        raise JournalError(
            f"The journal {url} has no schema to be in: none of the role's search_path exists.",
            hint="Make one (CREATE SCHEMA), or name it: ?options=-csearch_path%3DNAME",
        )


def server_time(connection: psycopg.Connection) -> datetime:
    """The server's clock, now."""
    row = connection.execute(b"SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
    assert row is not None  # noqa: S101 - a SELECT of one row
    return datetime.fromtimestamp(row[0], UTC)
