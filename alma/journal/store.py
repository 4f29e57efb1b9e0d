"""What a journal stands on: rows, the database that keeps them, and events to rows and back.

A `Store` keeps rows durably and gives consistent views of them; it judges nothing. The chain, the
epochs and what is refused are the journal's, once for all stores.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from alma.core.codec import decode, own_fields, said_fields
from alma.core.events import Event, Recorded
from alma.errors import JournalError
from alma.journal.rows import (
    DeliveryRow,
    EventRow,
    LeaseRow,
    ObservationRow,
    Place,
    RunRow,
    SealRow,
)

if TYPE_CHECKING:
    from alma.journal.snapshots import SnapshotRows

T = TypeVar("T")


class Reader(Protocol):
    """One consistent view of all rows."""

    def events(self, run: str, after: int = 0) -> list[EventRow]:
        """The run's events with a seq above `after`, in the order of their seqs."""
        ...

    def all_events(self) -> Iterator[EventRow]:
        """Every event, in the order of positions, one at a time."""
        ...

    def last_event(self) -> EventRow | None:
        """The event with the highest position."""
        ...

    def place(self, run: str, target: str) -> Place:
        """See `Place`."""
        ...

    def runs(self, limit: int | None = None, target: str | None = None) -> list[RunRow]:
        """The runs, the highest position first; of one target if given."""
        ...

    def run(self, run: str) -> RunRow | None:
        """The run with exactly that id."""
        ...

    def matching(self, prefix: str, limit: int) -> list[str]:
        """Ids of runs that begin with the prefix, in their order."""
        ...

    def leases(self) -> list[LeaseRow]:
        """Every lease, in the order of their numbers."""
        ...

    def last_lease(self, target: str | None = None) -> LeaseRow | None:
        """The lease with the highest number; of one target, the one with its highest epoch."""
        ...

    def seals(self) -> list[SealRow]:
        """Every seal."""
        ...

    def seal(self, run: str) -> SealRow | None:
        """The run's."""
        ...

    def deliveries(self, run: str | None = None, *, still_open: bool = False) -> list[DeliveryRow]:
        """Every delivery, the first that was due first; of one run, or of those that are open."""
        ...

    def observations(self, target: str | None = None) -> list[ObservationRow]:
        """Every observation, the first look first; of one target if given."""
        ...

    def problem(self) -> str:
        """What is wrong with the store itself, its schema or its integrity; or empty."""
        ...


class Writer(Protocol):
    """One transaction. A row that does not come next in its table's order is refused."""

    def place(self, run: str, target: str) -> Place:
        """See `Place`."""
        ...

    def last_lease(self, target: str | None = None) -> LeaseRow | None:
        """See `Reader`."""
        ...

    def seal(self, run: str) -> SealRow | None:
        """See `Reader`."""
        ...

    def all_events(self) -> Iterator[EventRow]:
        """See `Reader`."""
        ...

    def deliveries(self, run: str | None = None, *, still_open: bool = False) -> list[DeliveryRow]:
        """See `Reader`."""
        ...

    def add_run(self, row: RunRow) -> None:
        """List a run; its first event follows."""
        ...

    def add_event(self, row: EventRow) -> None:
        """Add an event."""
        ...

    def add_lease(self, row: LeaseRow) -> None:
        """Add a lease."""
        ...

    def put_seal(self, row: SealRow) -> None:
        """Seal a run, in the place of its seal before."""
        ...

    def put_delivery(self, row: DeliveryRow) -> None:
        """Note how a delivery stands, in the place of how it stood before."""
        ...

    def add_observation(self, row: ObservationRow) -> None:
        """Add what a look has found of a step."""
        ...


class Lock(Protocol):
    """A lock that is held until it is released, or its process ends."""

    @property
    def held(self) -> bool:
        """Whether it was not released yet."""
        ...

    def release(self) -> None:
        """Give it back; the second time does nothing."""
        ...


class Store(Protocol):
    """Where rows are kept. Threads may share it; every method raises JournalError.

    `what` says what a piece of work is for, in words that follow "Cannot".
    """

    @property
    def name(self) -> str:
        """What it is called in sentences: its path, or its URL without credentials."""
        ...

    @property
    def is_shared(self) -> bool:
        """Whether hosts share it that share nothing else: then nothing beside it is known there."""
        ...

    @property
    def snapshots(self) -> SnapshotRows | None:
        """Where a shared store keeps deployments; None: they are files beside it."""
        ...

    @property
    def path(self) -> Path:
        """The file, absolute; of a store that is none, a path beside which things are kept.

        They are kept in its directory, which is private and on this host alone.
        """
        ...

    def read(self, what: str, work: Callable[[Reader], T]) -> T:
        """Do the work on one consistent view. It may be done again, from its beginning."""
        ...

    def write(self, what: str, work: Callable[[Writer], T]) -> T:
        """Do the work alone, and keep what it adds, durably: all of it, or nothing if it raises.

        It may be done again, from its beginning.
        """
        ...

    def lock(self, target: str) -> Lock | None:
        """Lock a target for this process; None while another one has it."""
        ...

    def is_locked(self, target: str) -> bool:
        """Whether a live process has locked a target. Writes nothing."""
        ...

    def now(self) -> datetime | None:
        """By the clock that all its hosts share; None: it has none of its own."""
        ...

    def close(self) -> None:
        """Close it; the second time does nothing."""
        ...


_FORM: Final[dict[str, Any]] = {
    "sort_keys": True,
    "separators": (",", ":"),
    "allow_nan": False,
    "default": said_fields,
}
# By `json`, not by msgspec: that takes sets, makes NaN null, and writes 1e-07 in another way.
_DATA: Final = json.JSONEncoder(ensure_ascii=False, **_FORM)


def to_text(event: Event) -> str:
    """The event's own fields as JSON with sorted keys and no spaces; JournalError if it cannot."""
    try:
        data = own_fields(event)
        text = _DATA.encode(data)
        try:
            text.encode()
        except UnicodeEncodeError:  # half a surrogate pair, from undecodable bytes in a message
            text = json.dumps(data, **_FORM)
    except (TypeError, ValueError, RecursionError) as error:
        raise JournalError(f"{event.type} cannot be written as JSON: {error}.") from error
    return text


def to_event(row: EventRow) -> Event:
    """The event of a row. Raises what shows that it is none that this version understands."""
    return decode(row.type, row.step, row.data)


def to_recorded(row: EventRow) -> Recorded:
    """The event of a row without problems, and its place."""
    return Recorded(
        run=row.run,
        seq=row.seq,
        at=datetime.fromisoformat(row.at),
        epoch=row.epoch,
        event=to_event(row),
        hash=row.hash,
    )


def from_stamp(text: str) -> datetime:
    """The inverse of `to_stamp`; ValueError for what it has not made."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return at


def to_stamp(at: datetime) -> str:
    """ISO 8601 in UTC with microseconds; ValueError for a naive time."""
    if at.tzinfo is None:
        raise ValueError(f"a clock must give aware times, not {at!r}")
    return at.astimezone(UTC).isoformat(timespec="microseconds")
