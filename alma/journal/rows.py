"""The journal's rows: from events to columns and back."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

from alma.core.events import Event, Process, Recorded, decode, encode
from alma.errors import JournalError
from alma.journal.chain import EventRow, LeaseRow, RunRow, decode_problem, hash_problem
from alma.journal.lease import Holder

# Names of our own, never a user's: no values are put into SQL as text anywhere.
EVENTS: Final = f"SELECT {', '.join(EventRow._fields)} FROM events"
LEASES: Final = f"SELECT {', '.join(LeaseRow._fields)} FROM leases"
RUNS: Final = "SELECT position, run, target, saga, stack, kind, created_at FROM runs"
_FORM: Final[dict[str, Any]] = {"sort_keys": True, "separators": (",", ":"), "allow_nan": False}
_DATA: Final = json.JSONEncoder(ensure_ascii=False, **_FORM)
ADD_EVENT: Final = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
ADD_LEASE: Final = "INSERT INTO leases VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
ADD_RUN: Final = "INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?)"


def to_text(event: Event) -> str:
    """The event's own fields as JSON with sorted keys and no spaces; JournalError if it cannot."""
    try:
        data = encode(event)
        text = _DATA.encode(data)
        try:
            text.encode()
        except UnicodeEncodeError:  # half a surrogate pair, from undecodable bytes in a message
            text = json.dumps(data, **_FORM)
    except (TypeError, ValueError, RecursionError) as error:
        raise JournalError(f"{event.type} cannot be written as JSON: {error}.") from error
    return text


def to_stamp(at: datetime) -> str:
    """ISO 8601 in UTC with microseconds; ValueError for a naive time."""
    if at.tzinfo is None:
        raise ValueError(f"a clock must give aware times, not {at!r}")
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def row_problem(row: EventRow, seq: int) -> str:
    """What is wrong with a row that should have this seq, as far as it shows by itself."""
    if row.seq != seq:
        return f"seq {seq} is missing"
    return hash_problem(row) or decode_problem(row)


def to_recorded(row: EventRow) -> Recorded:
    """The event of a row without problems."""
    return Recorded(
        run=row.run,
        seq=row.seq,
        at=datetime.fromisoformat(row.at),
        epoch=row.epoch,
        event=decode(row.type, row.step, json.loads(row.data)),
        hash=row.hash,
    )


def to_run(row: tuple[Any, ...]) -> RunRow:
    """The run of a row of `RUNS`."""
    position, run, target, saga, stack, kind, created_at = row
    return RunRow(
        position=position,
        run=run,
        target=target,
        saga=saga,
        stack=stack,
        kind=kind,
        created_at=created_at,
    )


def to_holder(row: LeaseRow, *, live: bool) -> Holder:
    """Who took the lease of this row."""
    return Holder(
        target=row.target,
        run=row.run,
        epoch=row.epoch,
        process=Process(host=row.host, pid=row.pid, started=row.started),
        actor=row.actor,
        acquired_at=datetime.fromisoformat(row.acquired_at),
        live=live,
    )
