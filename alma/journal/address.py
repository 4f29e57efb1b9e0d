"""Where a journal is: the path of a file, or the URL of a database.

A URL may hold a password. It is handed to the database's client and shown nowhere: as text it has
neither user nor password, nor anything else that is not about the place.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlencode

from alma.errors import JournalError

VARIABLE: Final = "ALMA_JOURNAL"
"""Names the journal where nobody else does."""
DEFAULT: Final = Path(".alma") / "journal.db"

_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")
_POSTGRES: Final = frozenset({"postgres", "postgresql"})
_SHOWN: Final = frozenset({"host", "hostaddr", "port", "dbname", "options", "sslmode"})
"""What of a URL's options may be seen: where it leads, and nothing that lets anybody in."""


class PostgresUrl:
    """The URL of a journal on Postgres, as libpq takes it; as text it is without credentials."""

    def __init__(self, whole: str) -> None:
        self.whole = whole
        self._shown = _shown(whole)

    def __str__(self) -> str:
        return self._shown

    def __repr__(self) -> str:
        return f"PostgresUrl({self._shown!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PostgresUrl) and other.whole == self.whole

    def __hash__(self) -> int:
        return hash(self.whole)


Address = Path | PostgresUrl


def address_of(given: str | Path | PostgresUrl) -> Address:
    """The address that is meant; JournalError for a URL of anything that keeps no journal."""
    if isinstance(given, PostgresUrl):
        return given
    url = _URL.match(str(given))
    if url is None:
        return Path(given)
    if url[1].lower() not in _POSTGRES:
        raise JournalError(
            f"alma keeps no journal at {url[1]}: URLs.",
            hint="Give the path of a file on a local disk with --journal, or a postgresql: URL.",
        )
    if isinstance(given, Path):  # which has made one slash of two
        raise JournalError(
            f"The URL of a journal ({url[1]}:) was given as a path.", hint="Give it as a text."
        )
    return PostgresUrl(given)


def chosen(
    given: str | Path | PostgresUrl | None, environ: Mapping[str, str] = os.environ
) -> Address | None:
    """What the user chose, by an argument or by ALMA_JOURNAL; None where that is nothing."""
    found = given or environ.get(VARIABLE)
    return address_of(found) if found else None


def may_be_there(address: Address) -> bool:
    """Whether there may be a journal: of a database only its server can tell."""
    return isinstance(address, PostgresUrl) or os.path.lexists(address)


def absolute_address(address: Address) -> Address:
    """The same from any directory."""
    return address.absolute() if isinstance(address, Path) else address


def _shown(whole: str) -> str:
    scheme, _, rest = whole.partition("://")
    head, _, tail = rest.rpartition("@")
    if "?" in head:  # a password with a sign that should have been escaped, or half an option
        return f"{scheme}://..."
    place, _, options = tail.partition("?")
    kept = [(name, value) for name, value in parse_qsl(options) if name in _SHOWN]
    return f"{scheme}://{place}" + (f"?{urlencode(kept)}" if kept else "")
