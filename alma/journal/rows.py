"""Rows of a journal's tables, whatever store keeps them: their columns, and their types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar, get_type_hints

from alma.core.definition import target_of


class EventRow(NamedTuple):
    """A row of the table `events`, its columns in their order."""

    position: int
    run: str
    seq: int
    at: str
    epoch: int
    type: str
    step: str
    data: str
    prev: str
    hash: str


class LeaseRow(NamedTuple):
    """A row of the table `leases`, its columns in their order."""

    number: int
    target: str
    epoch: int
    run: str
    host: str
    pid: int
    started: float
    actor: str
    acquired_at: str
    prev: str
    hash: str


def target_in(saga: str, stack: str, definition: Any) -> str:
    """What a run with this first event is a run of: see `Definition.target`."""
    said = definition.get("organization", "") if isinstance(definition, Mapping) else ""
    return target_of(saga, str(said), stack)


class RunRow(NamedTuple):
    """A row of the table `runs`. `position` is that of the run's first event."""

    position: int
    run: str
    target: str
    saga: str
    stack: str
    kind: str
    created_at: str


class SealRow(NamedTuple):
    """A row of the table `seals`: who wrote a run, up to which of its events.

    `hash` is that event's, `digest` of the hashes of all, `mac` of the other columns.
    """

    run: str
    seq: int
    hash: str
    digest: str
    mac: str


class DeliveryRow(NamedTuple):
    """A row of the table `deliveries`: a notice of one event of a run, for one notifier.

    `state` is `open`, `delivered` or `given up`. Nobody tries it before `not_before`: somebody has
    it in hand, or the last attempt has failed.
    """

    run: str
    seq: int
    notifier: str
    notice: str
    due_at: str
    state: str
    attempts: int
    tried_at: str
    not_before: str
    error: str


class ObservationRow(NamedTuple):
    """A row of the table `observations`: what one look at drift has found of one step.

    `look` is the look's id, which sorts by time; `run` the last run of the target then. `data` is
    JSON, without secrets.
    """

    look: str
    step: str
    at: str
    target: str
    run: str
    actor: str
    verdict: str
    data: str


class Place(NamedTuple):
    """All that an append has to know: what the next event of a run follows.

    `target` is the run's, None for an unknown run; `epoch` the last one of the target that was
    asked for; `seq` the run's last. `position` and `hash` are of the last event of all, 0 and
    empty before the first.
    """

    target: str | None
    epoch: int
    seq: int
    position: int
    hash: str


class UnreadableError(Exception):
    """A `Reader` raises it where what is kept is damaged; the message says how."""


Row = TypeVar("Row", EventRow, LeaseRow, RunRow, SealRow, DeliveryRow, ObservationRow)
_TYPES: Final = {
    kind: tuple(get_type_hints(kind).values())
    for kind in (EventRow, LeaseRow, RunRow, SealRow, DeliveryRow, ObservationRow)
}


def to_row(kind: type[Row], values: Sequence[Any]) -> Row:
    """A row of the values of its columns; UnreadableError where one is of another type.

    SQLite keeps a text or a blob in a column of numbers as gladly as a number.
    """
    types = _TYPES[kind]
    if tuple(map(type, values)) != types:
        name, value = next(
            (name, value)
            for name, value, wanted in zip(kind._fields, values, types, strict=True)
            if type(value) is not wanted
        )
        what = kind.__name__.removesuffix("Row").lower()
        raise UnreadableError(
            f"the {what} {values[0]!r:.60} has a {name} that is {value!r:.60}, which fits no {name}"
        )
    return kind._make(values)
