"""What the journal's tests share: sample events, a journal with runs, and child processes."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from alma.core.definition import Definition, StepDefinition
from alma.core.events import Leftover, OperationIntended, OperationSucceeded, RunCreated, RunFailed
from alma.journal.journal import Journal
from alma.journal.lease import Lease

ROOT = Path(__file__).parents[2]
START = datetime(2026, 1, 31, 14, 25, tzinfo=UTC)


class Clock:
    """A clock that goes on by one second at each look, unless it is set."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


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
        Journal.open(path, write=True, clock=Clock()) as journal,
        journal.acquire(f"{saga}/dev", run, actor="jane@here") as lease,
    ):
        journal.create_run(run, created(saga), lease)
        yield journal, lease


def fill(path: Path) -> None:
    """A small journal: two targets, three runs, interleaved and of several epochs."""
    with Journal.open(path, write=True, clock=Clock()) as journal:
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
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        return [
            connection.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()  # noqa: S608
            for table in ("events", "runs", "leases")
        ]
    finally:
        connection.close()


def tampered(path: Path, *statements: str, values: tuple[object, ...] = ()) -> None:
    """Change the file as somebody with SQLite's own tool would, the guards dropped and put back."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        guards = connection.execute(query).fetchall()
        for name, _ in guards:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement, values)
        for _, sql in guards:
            connection.execute(sql)
    finally:
        connection.close()


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
    process.communicate(timeout=60)
    return process.returncode


def files_of(path: Path) -> dict[str, bytes]:
    """Everything in the file's directory, by name, with its bytes."""
    return {each.name: each.read_bytes() for each in path.parent.iterdir() if each.is_file()}
