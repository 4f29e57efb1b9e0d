"""What Postgres and its client can raise, as one sentence each, with no password in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg

from alma.errors import BrokenJournalError, JournalError, UnavailableJournalError
from alma.journal.address import PostgresUrl
from alma.journal.rows import UnreadableError

_RIGHTS: Final = "Which rights alma's role needs is in docs/teams.md."

_REACH: Final = "Look at the URL, the server, and the password (PGPASSWORD, .pgpass)."
_SHORTEST: Final = 4
"""Letters of a password that are looked for: to take out `a` would take out much else."""

# What is wrong and the way out, by SQLSTATE, or by the class of it:
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_CAUSES: Final = {
    "55P03": (
        "is locked by another writer (waited {wait:g} s)",
        "Look into pg_stat_activity for who is in a transaction there.",
    ),
    "57014": ("took too long ({error})", "Look at the server's statement_timeout."),
    "53100": ("is on a disk that is full", "Make room on the server and go on with resume."),
    "53": ("is on a server that has not enough left ({error})", "Look at the server."),
    "42501": ("may not be used so by alma's role ({error})", _RIGHTS),
    "25006": (
        "may not be written: the server, or the role, is read-only there",
        "Give the URL of the primary server.",
    ),
    "28": ("cannot be opened ({error})", "Look at the user and the password: PGPASSWORD, .pgpass."),
    "3D000": ("cannot be opened ({error})", "Have the database made, as docs/teams.md says."),
    "42P01": ("is no journal of alma's any more ({error})", ""),
    # Of a connection that cannot be made, or is gone, libpq has no code.
    "08": ("cannot be reached ({error})", _REACH),
    "57P": ("cannot be reached ({error})", _REACH),
    "23": ("has refused a row ({error})", ""),
    "P0001": ("has refused a row ({error})", ""),
    "XX000": ("failed ({error})", "Look at the server's log, or the pooler's before it."),
    "XX": ("is damaged ({error})", "alma-pulumi verify names the first break."),
}

_PASSING: Final = ("08", "25006", "25P", "40", "53", "55P03", "57")
"""Of the network, the server's load, a server that is starting, or one that is no primary now."""


def told(error: BaseException, secret: str) -> str:
    """The error in one line, without the password, should a server or libpq have repeated it."""
    said = getattr(getattr(error, "diag", None), "message_primary", None) or str(error)
    line = " ".join(said.split()).rstrip(".")
    return line.replace(secret, "[secret]") if len(secret) >= _SHORTEST else line


def translated(
    what: str, url: PostgresUrl, error: Exception, *, wait: float, secret: str
) -> JournalError:
    """The JournalError of an error."""
    cause = error.__cause__ if isinstance(error, UnreadableError) and error.__cause__ else error
    state = getattr(cause, "sqlstate", None) or ""
    if not state and isinstance(cause, psycopg.OperationalError):
        state = "08"
    way = _CAUSES.get(state) or _CAUSES.get(state[:3]) or _CAUSES.get(state[:2])
    way = way or ("failed ({error})", "")
    said, hint = (text.format(wait=wait, error=told(cause, secret)) for text in way)
    return _kind(error, state)(f"Cannot {what}: the journal {url} {said}.", hint=hint)


def _kind(error: Exception, state: str) -> type[JournalError]:
    """Whether trying again, or on another host, is of any use."""
    if state.startswith(_PASSING):
        return UnavailableJournalError
    # XX000 is also what poolers say when they have no connection to give.
    broken = state in ("XX001", "XX002")
    read = isinstance(error, UnreadableError) and state[:2] in ("", "22")
    return BrokenJournalError if broken or read else JournalError


@contextmanager
def unreadable() -> Iterator[None]:
    """UnreadableError for what says that the content is damaged."""
    try:
        yield
    except (psycopg.InternalError, psycopg.DataError) as error:
        raise UnreadableError(f"the database is damaged: {told(error, '')}") from error
