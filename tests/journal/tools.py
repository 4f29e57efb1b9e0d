"""What the journal's tests share: sample events, a journal with runs, and child processes."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from copy import copy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from alma.core.definition import Definition, StepDefinition
from alma.core.events import Leftover, OperationIntended, OperationSucceeded, RunCreated, RunFailed
from alma.journal import Journal, open_journal
from alma.journal.journal import utc_now
from alma.journal.lease import Lease
from alma.journal.rows import DeliveryRow, EventRow, LeaseRow, ObservationRow, RunRow, SealRow
from alma.journal.sqlite.schema import DELIVERIES, OBSERVATIONS, SEALS, TABLES
from alma.journal.sqlite.store import SqliteStore
from tests.journal import postgres
from tests.journal.memory import KEPT, open_in_memory
from tests.journal.postgres import POSTGRES

ROOT = Path(__file__).parents[2]
MEMORY = ".memory"
ROWS: dict[Any, str] = {
    EventRow: "events",
    RunRow: "runs",
    LeaseRow: "leases",
    SealRow: "seals",
    DeliveryRow: "deliveries",
    ObservationRow: "observations",
}
START = datetime(2026, 1, 31, 14, 25, tzinfo=UTC)


class Clock:
    """A clock that goes on by one second at each look, unless it is set."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def open_at(
    path: Path, *, write: bool, clock: Callable[[], datetime] = utc_now, wait: float | None = None
) -> Journal:
    """A journal of the store that the path's ending says."""
    if path.suffix == MEMORY:
        return open_in_memory(path, write=write, clock=clock, wait=wait)
    where = postgres.url_of(path) if path.suffix == POSTGRES else path
    return open_journal(where, write=write, clock=clock, wait=wait)


def definition(saga: str = "shop", stack: str = "dev") -> Definition:
    steps = (
        StepDefinition(name="database", kind="stack"),
        StepDefinition(name="servers", kind="stack", dependencies=("database",)),
    )
    return Definition(saga=saga, stack=stack, steps=steps)


def created(saga: str = "shop", stack: str = "dev") -> RunCreated:
    plan = definition(saga, stack)
    return RunCreated(
        saga=saga, stack=stack, kind="up", definition=plan.to_json(), digest=plan.digest
    )


def intended(number: int = 1, step: str = "database") -> OperationIntended:
    return OperationIntended(step=step, operation=f"o-{number}", kind="up", attempt=number)


def succeeded(number: int = 1, step: str = "database") -> OperationSucceeded:
    return OperationSucceeded(step=step, operation=f"o-{number}", kind="up", seconds=1.5)


@contextmanager
def a_run(path: Path, run: str = "r1", saga: str = "shop") -> Iterator[tuple[Journal, Lease]]:
    """A journal with one run that is just created, and the lease on it."""
    with (
        open_at(path, write=True, clock=Clock()) as journal,
        journal.acquire(f"{saga}/dev", run, actor="jane@here") as lease,
    ):
        journal.create_run(run, created(saga), lease)
        yield journal, lease


def fill(path: Path) -> None:
    """A small journal: two targets, three runs, interleaved and of several epochs."""
    with open_at(path, write=True, clock=Clock()) as journal:
        with (
            journal.acquire("shop/dev", "r1") as one,
            journal.acquire("blog/dev", "r2") as two,
        ):
            journal.create_run("r1", created("shop"), one)
            journal.create_run("r2", created("blog"), two)
            journal.append("r1", intended(1), one)
            journal.append("r2", intended(1), two)
            journal.append("r1", succeeded(1), one)
        with journal.acquire("shop/dev", "r1") as one:
            left = Leftover(step="database", urn="urn:x", reason="it is stück")
            journal.append("r1", RunFailed(reason="no", leftovers=(left,)), one)
        with journal.acquire("shop/dev", "r3") as three:
            journal.create_run("r3", created("shop"), three)
            journal.append("r3", intended(1), three)


def content(path: Path) -> list[list[tuple[object, ...]]]:
    """All rows of all tables, read without alma."""
    if path.suffix == MEMORY:
        return [[*map(tuple, rows)] for rows in KEPT[path].all_rows]
    if path.suffix == POSTGRES:
        return [[*map(tuple, rows)] for rows in postgres.all_rows(path)]
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        return [
            connection.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()  # noqa: S608
            for table in ROWS.values()
        ]
    finally:
        connection.close()


@contextmanager
def sqlite_of(path: Path) -> Iterator[sqlite3.Connection]:
    """The journal as an SQLite database, whatever keeps it."""
    if path.suffix not in (MEMORY, POSTGRES):
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            yield connection
        return
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for statement in (*TABLES, SEALS, *DELIVERIES, *OBSERVATIONS):
            connection.execute(statement)
        before = KEPT[path].all_rows if path.suffix == MEMORY else postgres.all_rows(path)
        for kind, rows in zip(ROWS, before, strict=True):
            marks = ", ".join("?" * len(kind._fields))
            connection.executemany(f"INSERT INTO {ROWS[kind]} VALUES ({marks})", rows)  # noqa: S608
        yield connection
        events, runs, leases, seals, deliveries, looks = (
            [*map(kind._make, connection.execute(f"SELECT * FROM {table} ORDER BY 1"))]  # noqa: S608
            for kind, table in ROWS.items()
        )
    if path.suffix == POSTGRES:
        postgres.put_rows(path, (events, runs, leases, seals, deliveries, looks))
        return
    kept = KEPT[path]
    kept.events, kept.runs, kept.leases, kept.seals = events, runs, leases, seals
    kept.deliveries, kept.observations = deliveries, looks


def connection_of(journal: Journal) -> sqlite3.Connection:
    """SQLite's own, of a journal in a file."""
    store = journal._store
    assert isinstance(store, SqliteStore)
    return store._database._connection


def copy_to(path: Path, other: Path) -> None:
    """The same journal at another place."""
    if path.suffix == POSTGRES:
        postgres.put_rows(other, postgres.all_rows(path))
    elif path.suffix == MEMORY:
        KEPT[other] = copy(KEPT[path])
    else:
        other.write_bytes(path.read_bytes())


def forget(path: Path) -> None:
    """No journal is there any more."""
    if path.suffix == POSTGRES:
        postgres.forget(path)
    KEPT.pop(path, None)
    path.unlink(missing_ok=True)


def tampered(
    path: Path, *statements: str, values: tuple[object, ...] | dict[str, object] = ()
) -> None:
    """Change the rows as somebody with SQLite's own tool would, the guards dropped and put back."""
    with sqlite_of(path) as connection:
        query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        guards = connection.execute(query).fetchall()
        for name, _ in guards:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement, values)
        for _, sql in guards:
            connection.execute(sql)


def child(code: str, *arguments: object) -> subprocess.Popen[str]:
    """A real process that runs the code, with pipes; `arguments` are its `sys.argv[1:]`."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def ended(process: subprocess.Popen[str]) -> int:
    """The exit code of a child that ends by itself."""
    process.communicate(timeout=300)
    return process.returncode


def files_of(path: Path) -> dict[str, bytes]:
    """Everything in the file's directory, by name, with its bytes."""
    return {each.name: each.read_bytes() for each in path.parent.iterdir() if each.is_file()}
