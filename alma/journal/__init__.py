"""The journal: every event of every run, on disk before what it announces."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from alma.errors import JournalError
from alma.journal.journal import Journal, utc_now

__all__ = ["Journal", "open_journal"]

_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")


def open_journal(
    where: str | Path,
    *,
    write: bool,
    clock: Callable[[], datetime] = utc_now,
    wait: float | None = None,
) -> Journal:
    """Open the journal in an SQLite file; `wait` is how many seconds to wait for another writer.

    With `write` it is made when missing. Without, nothing is ever written, and where there is
    none it is one without runs.
    """
    if url := _URL.match(str(where)):
        raise JournalError(
            f"alma keeps no journal at {url[1]}: URLs.",
            hint="Give the path of a file on a local disk with --journal.",
        )
    # Not with the package: whoever only defines a saga needs no SQLite.
    from alma.journal.sqlite.store import BUSY_SECONDS, SqliteStore

    store = SqliteStore(Path(where), write=write, wait=BUSY_SECONDS if wait is None else wait)
    return Journal(store, clock)
