"""The hash chain over the journal's rows, and the walk along it that `verify` takes.

Every row holds the hash of the row before it. A row's own hash is

    sha256(utf8(json([prev, column, column, ...])))

as lower-case hex, where the columns stand in the table's order without `prev` and `hash`, and
the JSON has no spaces and leaves non-ASCII characters as they are: the text that SQLite's own
`json_array` gives. The first row's `prev` is `GENESIS`. docs/journal.md says it for other tools.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Final

from msgspec import Struct

from alma.journal.rows import (
    EventRow,
    LeaseRow,
    RunRow,
    SealRow,
    UnreadableError,
    target_in,
)
from alma.journal.store import Reader, from_stamp, to_event

GENESIS: Final = "0" * 64
"""What the first row of a chain names as the hash before it."""


_COLUMNS: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class Head(Struct, frozen=True, kw_only=True):
    """Where a chain ends: kept elsewhere, it proves later that no tail was cut off."""

    position: int = 0
    hash: str = GENESIS


class Break(Struct, frozen=True, kw_only=True):
    """The first place where the journal is not what was written.

    `position` is 0 and `run` empty where the problem is not one event's.
    """

    position: int
    run: str
    seq: int
    problem: str

    def __str__(self) -> str:
        if not self.position:
            return self.problem
        where = f", run {self.run}, seq {self.seq}" if self.run else ""
        return f"position {self.position}{where}: {self.problem}"


class Verdict(Struct, frozen=True, kw_only=True):
    """What `verify` found. `head` is the last good event; `first_break` is None if all is well."""

    events: int
    runs: int
    head: Head
    first_break: Break | None

    @property
    def ok(self) -> bool:
        """Whether the journal is what was written."""
        return self.first_break is None


def row_hash(prev: str, columns: Iterable[str | int | float]) -> str:
    """The hash of a row with these columns after a row with the hash `prev`."""
    return sha256(_COLUMNS.encode([prev, *columns]).encode()).hexdigest()


def add_to_digest(digest: str, hash_: str) -> str:
    """The digest of a run's events with one more, by its hash; an empty one before the first."""
    return sha256(f"{digest}{hash_}".encode()).hexdigest()


def hash_problem(row: EventRow | LeaseRow) -> str:
    """What is wrong with the row's own hash, or an empty string."""
    try:
        expected = row_hash(row.prev, row[:-2])
    except (TypeError, ValueError):  # a blob or a NULL where text was
        expected = ""
    return "" if row.hash == expected else "its content does not match its hash: it was edited"


def lease_problem(row: LeaseRow) -> str:
    """What is wrong with a lease by itself, or an empty string."""
    try:
        from_stamp(row.acquired_at)
    except (TypeError, ValueError) as error:
        return f"its time is none: {error}"
    return hash_problem(row)


def row_problem(row: EventRow, seq: int) -> str:
    """What is wrong with a row that should have this seq, as far as it shows by itself."""
    if row.seq != seq:
        return f"seq {seq} is missing"
    return hash_problem(row) or decode_problem(row)


def decode_problem(row: EventRow) -> str:
    """Why the row is no event that this version understands, or an empty string."""
    try:
        to_event(row)
        from_stamp(row.at)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        return f"it is no event that this version of alma understands: {error}"
    except RecursionError:
        return "it is no event that this version of alma understands: it is nested too deep"
    return ""


class ChainWalk:
    """A walk along the events in the order of their positions, one row at a time."""

    def __init__(self, runs: Mapping[str, RunRow], leases: Mapping[tuple[str, int], str]) -> None:
        """`leases` are the runs that leases were taken for, by target and epoch."""
        self._runs, self._leases = dict(runs), leases
        self._seen: dict[str, int] = {}
        self._last: dict[str, str] = {}
        self._digests: dict[str, str] = {}
        self._epochs: dict[str, int] = {}
        self.head = Head()

    def step(self, row: EventRow) -> Break | None:
        """Take the next row: None, or the break that it shows."""
        problem = self._problem(row)
        if problem:
            return Break(position=row.position, run=row.run, seq=row.seq, problem=problem)
        self.head = Head(position=row.position, hash=row.hash)
        self._seen[row.run] = row.seq
        self._last[row.run] = row.hash
        self._digests[row.run] = add_to_digest(self._digests.get(row.run, ""), row.hash)
        return None

    def end(self) -> Break | None:
        """After the last row: a run that is listed and has no events."""
        for run in self._runs.values():
            if run.run not in self._seen:
                problem = "the run is listed and its events are missing"
                return Break(position=run.position, run=run.run, seq=1, problem=problem)
        return None

    def held_against(self, seals: Iterable[SealRow]) -> str:
        """What the seals know otherwise: they need no key to say that a tail is missing."""
        for seal in seals:
            seen = self._seen.get(seal.run, 0)
            if seen < seal.seq:
                return f"run {seal.run}: of its {seal.seq} events {seal.seq - seen} are missing"
            if seen > seal.seq:
                return f"run {seal.run}: {seen - seal.seq} events were added after its seal"
            known = (self._last.get(seal.run), self._digests.get(seal.run))
            if known != (seal.hash, seal.digest):
                return f"run {seal.run}: its events are not those that its seal is of"
        return ""

    def _problem(self, row: EventRow) -> str:
        expected = self.head.position + 1
        if row.position != expected:
            last = row.position - 1
            gap = f"position {expected}" if last == expected else f"positions {expected} to {last}"
            return f"{gap} before it: missing"
        if problem := hash_problem(row):
            return problem
        if row.prev != self.head.hash:
            return "it does not follow the row before it: that one was replaced"
        if row.seq != self._seen.get(row.run, 0) + 1:
            return f"seq {self._seen.get(row.run, 0) + 1} of its run is missing before it"
        return decode_problem(row) or self._run_problem(row) or self._lease_problem(row)

    def _run_problem(self, row: EventRow) -> str:
        run = self._runs.get(row.run)
        if run is None:
            return "its run is missing from the list of runs"
        if row.seq > 1:
            return ""
        if row.type != "RunCreated":
            return f"a run begins with RunCreated, not with {row.type}"
        data = json.loads(row.data)
        saga, stack = data["saga"], data["stack"]
        listed = RunRow(
            position=row.position,
            run=row.run,
            target=target_in(saga, stack, data["definition"]),
            saga=saga,
            stack=stack,
            kind=data["kind"],
            created_at=row.at,
        )
        return "" if run == listed else "its row in the list of runs was edited"

    def _lease_problem(self, row: EventRow) -> str:
        target = self._runs[row.run].target
        before = self._epochs.get(target, 0)
        if row.epoch < before:
            return f"epoch {row.epoch} of {target} after epoch {before}: a stale runner wrote it"
        if self._leases.get((target, row.epoch)) != row.run:
            return f"no lease on {target} with epoch {row.epoch} was ever taken for this run"
        self._epochs[target] = row.epoch
        return ""


def lease_break(rows: Iterable[LeaseRow]) -> str:
    """The first thing wrong with the leases, which are a chain of their own; or empty."""
    prev, epochs = GENESIS, dict[str, int]()
    for number, row in enumerate(rows, start=1):
        which = f"lease {row.number} (epoch {row.epoch} of {row.target})"
        if row.number != number:
            return f"lease {number} is missing before {which}"
        if problem := lease_problem(row):
            return f"{which}: {problem}"
        if row.prev != prev or row.epoch != epochs.get(row.target, 0) + 1:
            return f"{which} does not follow the lease before it"
        prev, epochs[row.target] = row.hash, row.epoch
    return ""


def verify(reader: Reader, expected: Head | None) -> Verdict:
    """Walk the events, then look at what stands around them; `expected` is an earlier head."""
    walk, runs = ChainWalk({}, {}), 0
    try:
        listed = {row.run: row for row in reader.runs()}
        leases = reader.leases()
        walk = ChainWalk(listed, {(lease.target, lease.epoch): lease.run for lease in leases})
        runs = len(listed)
        broken = _along(reader, walk, expected)
        if broken is None and (
            problem := lease_break(leases) or walk.held_against(reader.seals()) or reader.problem()
        ):
            broken = Break(position=0, run="", seq=0, problem=problem)
    except UnreadableError as error:
        broken = Break(position=0, run="", seq=0, problem=str(error))
    return Verdict(events=walk.head.position, runs=runs, head=walk.head, first_break=broken)


def _along(reader: Reader, walk: ChainWalk, expected: Head | None) -> Break | None:
    try:
        for row in reader.all_events():
            if broken := walk.step(row):
                return broken
            if expected and row.position == expected.position and row.hash != expected.hash:
                problem = "not the event of the expected head: the chain was rewritten"
                return Break(position=row.position, run=row.run, seq=row.seq, problem=problem)
    except UnreadableError as error:
        return _after(walk.head, str(error))
    if expected and expected.position > walk.head.position:
        problem = f"the tail is missing: the expected head is at position {expected.position}"
        return _after(walk.head, problem)
    return walk.end()


def _after(head: Head, problem: str) -> Break:
    return Break(position=head.position + 1, run="", seq=0, problem=problem)
