"""The hash chain over the journal's rows, and what a walk along it finds. No SQLite, no I/O.

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
from typing import Final, NamedTuple

from alma.core.events import decode
from alma.core.struct import Frozen

GENESIS: Final = "0" * 64
"""What the first row of a chain names as the hash before it."""


_COLUMNS: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


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


class RunRow(Frozen):
    """A row of the table `runs`. `position` is that of the run's first event."""

    position: int
    run: str
    target: str
    saga: str
    stack: str
    kind: str
    created_at: str


class Head(Frozen):
    """Where a chain ends: kept elsewhere, it proves later that no tail was cut off."""

    position: int = 0
    hash: str = GENESIS


class Break(Frozen):
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


def link(prev: str, columns: Iterable[str | int | float]) -> str:
    """The hash of a row with these columns after a row with the hash `prev`."""
    return sha256(_COLUMNS.encode([prev, *columns]).encode()).hexdigest()


def hash_problem(row: EventRow | LeaseRow) -> str:
    """What is wrong with the row's own hash, or an empty string."""
    try:
        expected = link(row.prev, row[:-2])
    except (TypeError, ValueError):  # a blob or a NULL where text was
        expected = ""
    return "" if row.hash == expected else "its content does not match its hash: it was edited"


def decode_problem(row: EventRow) -> str:
    """Why the row is no event that this version understands, or an empty string."""
    try:
        decode(row.type, row.step, json.loads(row.data))
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        return f"it is no event that this version of alma understands: {error}"
    return ""


class ChainWalk:
    """A walk along the events in the order of their positions, one row at a time."""

    def __init__(self, runs: Mapping[str, RunRow], leases: Mapping[tuple[str, int], str]) -> None:
        """`leases` are the runs that leases were taken for, by target and epoch."""
        self._runs, self._leases = dict(runs), leases
        self._seen: dict[str, int] = {}
        self._epochs: dict[str, int] = {}
        self.head = Head()

    def step(self, row: EventRow) -> Break | None:
        """Take the next row: None, or the break that it shows."""
        problem = self._problem(row)
        if problem:
            return Break(position=row.position, run=row.run, seq=row.seq, problem=problem)
        self.head = Head(position=row.position, hash=row.hash)
        self._seen[row.run] = row.seq
        return None

    def end(self) -> Break | None:
        """After the last row: a run that is listed and has no events."""
        for run in self._runs.values():
            if run.run not in self._seen:
                problem = "the run is listed and its events are missing"
                return Break(position=run.position, run=run.run, seq=1, problem=problem)
        return None

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
            target=f"{saga}/{stack}",
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
        if problem := hash_problem(row):
            return f"{which}: {problem}"
        if row.prev != prev or row.epoch != epochs.get(row.target, 0) + 1:
            return f"{which} does not follow the lease before it"
        prev, epochs[row.target] = row.hash, row.epoch
    return ""
