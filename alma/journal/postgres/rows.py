"""Rows of the journal's tables: the SQL behind `Reader` and `Writer`, over one transaction.

What begins the transaction goes with its first query, and what is added with its commit: an append
is two exchanges with the server, and one where it finds what is expected.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from alma.journal.postgres import schema
from alma.journal.postgres.errors import unreadable
from alma.journal.postgres.expected import CHECK, Expected
from alma.journal.postgres.session import pipelined
from alma.journal.rows import (
    DeliveryRow,
    EventRow,
    LeaseRow,
    ObservationRow,
    Place,
    Row,
    RunRow,
    SealRow,
    to_row,
)

if TYPE_CHECKING:
    import psycopg

# Names of our own, never a user's: no values are put into SQL as text anywhere.
_EVENTS: Final = f"SELECT {', '.join(EventRow._fields)} FROM events"
_LEASES: Final = f"SELECT {', '.join(LeaseRow._fields)} FROM leases"
_RUNS: Final = f"SELECT {', '.join(RunRow._fields)} FROM runs"
_SEALS: Final = f"SELECT {', '.join(SealRow._fields)} FROM seals"
_ADD: Final = {
    kind: f"INSERT INTO {table} VALUES ({', '.join(['%s'] * len(kind._fields))})"
    for kind, table in (
        (EventRow, "events"),
        (LeaseRow, "leases"),
        (RunRow, "runs"),
        (ObservationRow, "observations"),
    )
}
_PUT_SEAL: Final = (
    f"INSERT INTO seals VALUES ({', '.join(['%s'] * len(SealRow._fields))}) ON CONFLICT (run) "
    f"DO UPDATE SET {', '.join(f'{name} = EXCLUDED.{name}' for name in SealRow._fields[1:])}"
)
# An event with its run's seal: one statement less for each append.
_ADD_SEALED: Final = f"WITH added AS ({_ADD[EventRow]}) {_PUT_SEAL}"
_DELIVERIES: Final = f"SELECT {', '.join(DeliveryRow._fields)} FROM deliveries"
_OBSERVATIONS: Final = f"SELECT {', '.join(ObservationRow._fields)} FROM observations"
_PUT_DELIVERY: Final = (
    f"INSERT INTO deliveries VALUES ({', '.join(['%s'] * len(DeliveryRow._fields))}) "
    "ON CONFLICT (run, seq, notifier, notice) "
    f"DO UPDATE SET {', '.join(f'{name} = EXCLUDED.{name}' for name in DeliveryRow._fields[4:])}"
)
# With the run's seal, which who adds to it asks for next.
_PLACE: Final = f"""
SELECT (SELECT target FROM runs WHERE run = %(run)s),
    (SELECT coalesce(max(epoch), 0) FROM leases WHERE target = %(target)s),
    (SELECT coalesce(max(seq), 0) FROM events WHERE run = %(run)s),
    coalesce(last.position, 0), coalesce(last.hash, ''),
    {", ".join(f"seals.{name}" for name in SealRow._fields)}
FROM (VALUES (1)) AS one
LEFT JOIN (SELECT position, hash FROM events ORDER BY position DESC LIMIT 1) AS last ON true
LEFT JOIN seals ON seals.run = %(run)s"""
_BATCH: Final = 500

Statement = tuple[str, Any]


class Rows:
    """Reader and Writer. `begin` are the statements that begin the transaction."""

    def __init__(
        self,
        connection: psycopg.Connection,
        quoted: str,
        begin: Sequence[Statement],
        expected: Expected | None = None,
    ) -> None:
        self._connection, self._quoted = connection, quoted
        self._pending = list(begin)
        self._seals: dict[str, SealRow | None] = {}
        self._expected = expected
        self._place: tuple[str, Place] | None = None
        self._begun = False
        self.is_assumed = False
        """Whether what was expected was given for what is there, which the commit finds out."""
        self.last_added: EventRow | LeaseRow | None = None
        """By which it is found out whether all of it is there."""
        self.committing = False
        """Whether the commit was sent: then only the server knows whether it was done."""

    # -- reading -----------------------------------------------------------------------------

    def events(self, run: str, after: int = 0) -> list[EventRow]:
        """See `Reader`."""
        query = f"{_EVENTS} WHERE run = %s AND seq > %s ORDER BY seq"
        return [to_row(EventRow, row) for row in self._select(query, (run, after))]

    def all_events(self) -> Iterator[EventRow]:
        """See `Reader`."""
        query, last = f"{_EVENTS} WHERE position > %s ORDER BY position LIMIT {_BATCH}", 0
        while found := self._select(query, (last,)):
            last = found[-1][0]
            yield from (to_row(EventRow, row) for row in found)

    def last_event(self) -> EventRow | None:
        """See `Reader`."""
        return self._first(EventRow, f"{_EVENTS} ORDER BY position DESC LIMIT 1")

    def place(self, run: str, target: str) -> Place:
        """See `Reader`; of what is expected, the server is told to hold it against what is."""
        if self._expected is not None and self._expected.is_for(run, target) and not self._begun:
            self._pending.append((CHECK, self._expected.values()))
            self._seals[run], place = self._expected.seal, self._expected.place
            self.is_assumed = True
        else:
            (row,) = self._select(_PLACE, {"run": run, "target": target})
            place, seal = Place._make(row[: len(Place._fields)]), row[len(Place._fields) :]
            self._seals[run] = None if seal[0] is None else to_row(SealRow, seal)
        self._place = run, place
        return place

    def runs(self, limit: int | None = None, target: str | None = None) -> list[RunRow]:
        """See `Reader`."""
        where, values = ("", ()) if target is None else ("WHERE target = %s", (target,))
        query = f"{_RUNS} {where} ORDER BY position DESC LIMIT %s"
        return [to_row(RunRow, row) for row in self._select(query, (*values, limit))]

    def run(self, run: str) -> RunRow | None:
        """See `Reader`."""
        return self._first(RunRow, f"{_RUNS} WHERE run = %s", (run,))

    def matching(self, prefix: str, limit: int) -> list[str]:
        """See `Reader`."""
        query = "SELECT run FROM runs WHERE starts_with(run, %s) ORDER BY run LIMIT %s"
        return [run for (run,) in self._select(query, (prefix, limit))]

    def leases(self) -> list[LeaseRow]:
        """See `Reader`."""
        return [to_row(LeaseRow, row) for row in self._select(f"{_LEASES} ORDER BY number")]

    def last_lease(self, target: str | None = None) -> LeaseRow | None:
        """See `Reader`."""
        query, values = f"{_LEASES} ORDER BY number DESC LIMIT 1", tuple[str, ...]()
        if target is not None:
            query = f"{_LEASES} WHERE target = %s ORDER BY epoch DESC LIMIT 1"
            values = (target,)
        return self._first(LeaseRow, query, values)

    def seals(self) -> list[SealRow]:
        """See `Reader`."""
        return [to_row(SealRow, row) for row in self._select(_SEALS)]

    def seal(self, run: str) -> SealRow | None:
        """See `Reader`."""
        if run not in self._seals:
            self._seals[run] = self._first(SealRow, f"{_SEALS} WHERE run = %s", (run,))
        return self._seals[run]

    def deliveries(self, run: str | None = None, *, still_open: bool = False) -> list[DeliveryRow]:
        """See `Reader`."""
        if self._version() < schema.NOTICED_SINCE:
            return []
        wheres = ["state = 'open'"] if still_open else []
        wheres += ["true"] if run is None else ["run = %s"]
        query = f"{_DELIVERIES} WHERE {' AND '.join(wheres)} ORDER BY due_at, run, seq"
        found = self._select(query, () if run is None else (run,))
        return [to_row(DeliveryRow, row) for row in found]

    def observations(self, target: str | None = None) -> list[ObservationRow]:
        """See `Reader`."""
        if self._version() < schema.OBSERVED_SINCE:
            return []
        where, values = ("", ()) if target is None else ("WHERE target = %s", (target,))
        found = self._select(f"{_OBSERVATIONS} {where} ORDER BY look, step", values)
        return [to_row(ObservationRow, row) for row in found]

    def problem(self) -> str:
        """See `Reader`: what is wrong with the schema."""
        asked = (schema.OWNED, schema.TRIGGERS, schema.FUNCTIONS)
        found = [self._select(query, (self._quoted,)) for query in asked]
        return schema.problem(self._version(), self._quoted, *found)

    # -- adding ------------------------------------------------------------------------------

    def add_run(self, row: RunRow) -> None:
        """See `Writer`."""
        self._pending.append((_ADD[RunRow], row))

    def add_event(self, row: EventRow) -> None:
        """See `Writer`."""
        self._pending.append((_ADD[EventRow], row))
        self.last_added = row

    def add_lease(self, row: LeaseRow) -> None:
        """See `Writer`."""
        self._pending.append((_ADD[LeaseRow], row))
        self.last_added = row

    def put_seal(self, row: SealRow) -> None:
        """See `Writer`."""
        if self._pending and self._pending[-1][0] == _ADD[EventRow]:
            self._pending[-1] = (_ADD_SEALED, (*self._pending[-1][1], *row))
        else:
            self._pending.append((_PUT_SEAL, row))
        self._seals[row.run] = row

    def put_delivery(self, row: DeliveryRow) -> None:
        """See `Writer`."""
        self._pending.append((_PUT_DELIVERY, row))

    def add_observation(self, row: ObservationRow) -> None:
        """See `Writer`."""
        self._pending.append((_ADD[ObservationRow], row))

    def commit(self) -> None:
        """Keep what was added."""
        with pipelined(self._connection):
            self._send()
            self.committing = True
            self._connection.execute("COMMIT")

    def leave(self) -> None:
        """Be done with what was only read."""
        if self._begun:
            self._connection.execute("COMMIT")

    def end(self) -> None:
        """Undo what was added, and be done with it."""
        if self._begun:
            self._connection.execute("ROLLBACK")

    def expected(self) -> Expected | None:
        """What the next append of the same run will find, once this is kept."""
        last = self.last_added
        if self._place is None or not isinstance(last, EventRow):
            return None
        run, place = self._place
        seal = self._seals.get(run)
        if seal is None or (seal.run, seal.seq) != (last.run, last.seq) or place.target is None:
            return None
        at_end = Place(place.target, place.epoch, last.seq, last.position, last.hash)
        return Expected(run, at_end, seal)

    # ----------------------------------------------------------------------------------------

    def _version(self) -> int:
        """Whoever only looks leaves an older one as it is."""
        found = self._select(schema.NEWEST)
        return int(found[0][0]) if found else 0

    def _send(self) -> None:
        statements, self._pending = self._pending, []
        for statement, values in statements:
            self._begun = True
            self._connection.execute(statement.encode(), values)

    def _select(self, query: str, values: Any = ()) -> list[tuple[Any, ...]]:
        if any(isinstance(value, str) and not _can_be_kept(value) for value in values):
            return []  # no row has it
        with unreadable():
            if not self._pending:
                return self._connection.execute(query.encode(), values).fetchall()
            with pipelined(self._connection):
                self._send()
                return self._connection.execute(query.encode(), values).fetchall()

    def _first(self, kind: type[Row], query: str, values: Any = ()) -> Row | None:
        return next((to_row(kind, row) for row in self._select(query, values)), None)


def _can_be_kept(text: str) -> bool:
    """No column holds a NUL, nor what an argument has in place of bytes that are no text."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


class NoRows(Rows):
    """What is read of a journal that nobody has made yet."""

    def __init__(self, connection: psycopg.Connection) -> None:
        super().__init__(connection, "", ())

    def place(self, run: str, target: str) -> Place:  # noqa: ARG002
        """See `Reader`."""
        return Place(None, 0, 0, 0, "")

    def problem(self) -> str:
        """See `Reader`."""
        return ""

    def _select(self, query: str, values: Any = ()) -> list[tuple[Any, ...]]:  # noqa: ARG002
        return []
