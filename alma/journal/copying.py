"""What of one journal another one lacks, as rows that come next there.

A row's place is part of its hash, so a row that comes to another place gets another hash: into an
empty journal everything goes as it is, behind other runs it is chained anew. What it says stays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from alma.errors import JournalError
from alma.journal.chain import GENESIS, row_hash
from alma.journal.rows import DeliveryRow, EventRow, LeaseRow, ObservationRow, RunRow
from alma.journal.store import Reader, Writer


class Content(Struct, frozen=True, kw_only=True):
    """All of a journal that is copied."""

    runs: list[RunRow]
    """In the order of their first events."""
    leases: list[LeaseRow]
    events: dict[str, list[EventRow]]
    order: list[EventRow]
    """The events of all runs, in the order of the chain."""
    deliveries: list[DeliveryRow]
    observations: list[ObservationRow]


class Missing(Struct, frozen=True, kw_only=True):
    """What is to be added: rows of the other journal, and the epochs that they get here."""

    runs: dict[str, RunRow]
    leases: list[LeaseRow]
    events: list[EventRow]
    epochs: dict[tuple[str, int], int]
    deliveries: list[DeliveryRow]
    """What is open in both stays as it is there."""
    observations: list[ObservationRow]


def content(reader: Reader) -> Content:
    """Of a journal that is whole."""
    order = list(reader.all_events())
    events: dict[str, list[EventRow]] = defaultdict(list)
    for row in order:
        events[row.run].append(row)
    return Content(
        runs=reader.runs()[::-1],
        leases=reader.leases(),
        events=dict(events),
        order=order,
        deliveries=reader.deliveries(),
        observations=reader.observations(),
    )


def missing(source: Content, there: Content, name: str) -> Missing:
    """What `there`, which is called `name`, lacks; JournalError where they have gone apart."""
    listed = {run.run: run for run in there.runs}
    for target in dict.fromkeys(run.target for run in source.runs):
        ours = [run.run for run in source.runs if run.target == target]
        theirs = [run.run for run in there.runs if run.target == target]
        if ours[: len(theirs)] != theirs:
            other = next(run for run in theirs if run not in ours[: len(theirs)])
            raise JournalError(
                f"{name} has run {other} of {target}, which does not come next in what is copied.",
                hint="What was deployed last is what the newest run says: go on with one of the "
                "two journals alone.",
            )
    for run, rows in there.events.items():
        before = source.events.get(run)
        if before is not None and [*map(_said, before[: len(rows)])] != [*map(_said, rows)]:
            raise JournalError(
                f"Run {run} is in {name} already, and is not the same there.",
                hint="It went on there, or is another one: go on with that journal.",
            )
    leases, epochs = _leases(source, there)
    looked = {row[:2] for row in there.observations}
    counts = {run: len(rows) for run, rows in there.events.items()}
    return Missing(
        runs={run.run: run for run in source.runs if run.run not in listed},
        leases=leases,
        events=[row for row in source.order if row.seq > counts.get(row.run, 0)],
        epochs=epochs,
        deliveries=_deliveries(source, there),
        observations=[row for row in source.observations if row[:2] not in looked],
    )


def add(writer: Writer, rows: Missing, targets: Mapping[str, str]) -> dict[str, list[str]]:
    """Add them; by run the hashes that its new events have here. `targets` are the runs'."""
    _add_leases(writer, rows)
    added: dict[str, list[str]] = defaultdict(list)
    last: EventRow | None = None
    for row in rows.events:
        target = targets[row.run]
        if last is None:
            place = writer.place(row.run, target)
            position, prev = place.position, place.hash or GENESIS
        else:
            position, prev = last.position, last.hash
        if row.seq == 1:
            writer.add_run(rows.runs[row.run]._replace(position=position + 1))
        epoch = rows.epochs[target, row.epoch]
        columns = (position + 1, row.run, row.seq, row.at, epoch, row.type, row.step, row.data)
        last = EventRow(*columns, prev, row_hash(prev, columns))
        writer.add_event(last)
        added[row.run].append(last.hash)
    for delivery in rows.deliveries:
        writer.put_delivery(delivery)
    for observation in rows.observations:
        writer.add_observation(observation)
    return dict(added)


def _add_leases(writer: Writer, rows: Missing) -> None:
    last = writer.last_lease() if rows.leases else None
    number, prev = (last.number, last.hash) if last else (0, GENESIS)
    for row in rows.leases:
        number += 1
        columns = (number, row.target, rows.epochs[row.target, row.epoch], *row[3:-2])
        lease = LeaseRow(*columns, prev, row_hash(prev, columns))
        writer.add_lease(lease)
        prev = lease.hash


def _leases(source: Content, there: Content) -> tuple[list[LeaseRow], dict[tuple[str, int], int]]:
    """The leases to add, and which epoch each of the source's has here."""
    theirs: dict[str, list[LeaseRow]] = defaultdict(list)
    for row in there.leases:
        theirs[row.target].append(row)
    added: list[LeaseRow] = []
    epochs: dict[tuple[str, int], int] = {}
    same = dict.fromkeys((row.target for row in source.leases), True)
    counts = {target: len(rows) for target, rows in theirs.items()}
    for row in source.leases:
        known: Sequence[LeaseRow] = theirs[row.target]
        if same[row.target] and row.epoch <= len(known) and _taken(known[row.epoch - 1], row):
            epochs[row.target, row.epoch] = row.epoch
            continue
        same[row.target] = False
        counts[row.target] = counts.get(row.target, 0) + 1
        epochs[row.target, row.epoch] = counts[row.target]
        added.append(row)
    return added, epochs


def _deliveries(source: Content, there: Content) -> list[DeliveryRow]:
    """Those that are not known here, and those that have ended since they were copied."""
    ended = {row[:4]: row.state != "open" for row in there.deliveries}
    return [
        row
        for row in source.deliveries
        if row[:4] not in ended or (row.state != "open" and not ended[row[:4]])
    ]


def _taken(one: LeaseRow, other: LeaseRow) -> bool:
    """Whether it is the same lease, wherever its row is."""
    return one[1:-2] == other[1:-2]


def _said(row: EventRow) -> Iterable[object]:
    """What an event says, wherever it stands."""
    return row.run, row.seq, row.at, row.type, row.step, row.data
