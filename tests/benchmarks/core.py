"""What alma adds by itself: the journal, the fold, and steps that do nothing. In this process."""

from __future__ import annotations

import json
import random
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psycopg
from msgspec.structs import asdict

from alma.core import events as ev
from alma.core.codec import decode, own_fields
from alma.core.definition import Definition
from alma.core.state import fold
from alma.journal import open_journal
from alma.saga.saga import Saga

BATCH = 100
"""Appends or commits in a row; then it is the other one's turn."""
FOLDED = 100_000


def _definition(steps: int) -> Definition:
    saga = Saga("bench")
    for number in range(steps):
        saga.add_step(f"s{number}", action=print, compensation="none")
    return saga.definition()


def created(definition: Definition) -> ev.RunCreated:
    """The first event of a run."""
    return ev.RunCreated(
        saga=definition.saga,
        stack=definition.stack,
        kind="up",
        definition=definition.to_json(),
        digest=definition.digest,
    )


def small() -> Definition:
    """One step."""
    return _definition(1)


def went_well(definition: Definition) -> Iterator[ev.Event]:
    """The events of the steps of a run that goes well, five for each."""
    process = ev.Process(host="host", pid=1, started=0.0)
    for step in (entry.name for entry in definition.steps):
        operation = f"20260101-000000-000-0000-{step}"
        common = {"step": step, "operation": operation}
        yield ev.StepStarted(step=step, project="bench", stack="dev")
        yield ev.OperationIntended(**common, kind="up")
        yield ev.ProcessSpawned(**common, role="worker", process=process)
        yield ev.ProcessSpawned(**common, role="cli", process=process)
        yield succeeded(step)


def succeeded(step: str) -> ev.OperationSucceeded:
    """What an `up` of a small stack leaves in the journal."""
    urn = "urn:pulumi:dev::bench::pulumi:index:Stash::part"
    return ev.OperationSucceeded(
        step=step,
        operation="20260101-000000-000-0000-7",
        kind="up",
        seconds=0.4,
        changes={"create": 2},
        resources=(ev.ResourceChange(urn=urn, op="create", id="part"),),
        outputs={"url": "http://127.0.0.1:8080"},
    )


def append(place: Path, repeats: int) -> dict[str, list[float]]:
    """Seconds of each append, and of each commit of such a row in SQLite alone, in turn."""
    times: dict[str, list[float]] = {"alma": [], "SQLite": []}
    definition, event = _definition(10), succeeded("s1")
    text = json.dumps(own_fields(event), default=asdict)
    raw = sqlite3.connect(place / "raw.db", isolation_level=None)
    raw.execute("PRAGMA journal_mode = WAL")
    raw.execute("PRAGMA synchronous = FULL")
    raw.execute("CREATE TABLE events (position INTEGER PRIMARY KEY, data TEXT NOT NULL)")

    def commit() -> None:
        raw.execute("BEGIN IMMEDIATE")
        raw.execute("INSERT INTO events (data) VALUES (?)", (text,))
        raw.execute("COMMIT")

    with (
        open_journal(place / "journal.db", write=True) as journal,
        journal.acquire(definition.target, "r1") as lease,
    ):
        journal.create_run("r1", created(definition), lease)
        arms: list[tuple[str, Callable[[], object]]] = [
            ("alma", lambda: journal.append("r1", event, lease)),
            ("SQLite", commit),
        ]
        for _ in range(repeats):
            for name, work in random.sample(arms, 2):
                times[name] += each(work)
    raw.close()
    return times


def append_on_postgres(url: str, repeats: int) -> dict[str, list[float]]:
    """The same over a server: of each append, and of each bare INSERT with its commit, in turn."""
    times: dict[str, list[float]] = {"alma": [], "psycopg": []}
    definition, event = _definition(10), succeeded("s1")
    text = json.dumps(own_fields(event), default=asdict)
    stamp, hashes = "2026-01-01T00:00:00.000000+00:00", ("0" * 64, "1" * 64)
    row = ("r1", 1, stamp, 1, event.type, event.step, text, *hashes)
    columns = "run text, seq bigint, at text, epoch bigint, type text, step text, data text"
    with (
        psycopg.connect(url, autocommit=True) as raw,
        open_journal(url, write=True) as journal,
        journal.acquire(definition.target, "r1") as lease,
    ):
        key = "position bigserial PRIMARY KEY"
        raw.execute(f"CREATE TABLE bare ({key}, {columns}, prev text, hash text)".encode())
        names = b"run, seq, at, epoch, type, step, data, prev, hash"
        marks = b", ".join([b"%s"] * len(row))
        insert = b"INSERT INTO bare (" + names + b") VALUES (" + marks + b")"

        def commit() -> None:
            with raw.transaction():
                raw.execute(insert, row)

        journal.create_run("r1", created(definition), lease)
        arms: list[tuple[str, Callable[[], object]]] = [
            ("alma", lambda: journal.append("r1", event, lease)),
            ("psycopg", commit),
        ]
        for _ in range(repeats):
            for name, work in random.sample(arms, 2):
                times[name] += each(work)
    return times


def each(work: Callable[[], object]) -> list[float]:
    """Seconds of each of a batch of calls."""
    times = []
    for _ in range(BATCH):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return times


Row = tuple[str, str, str]
"""Type, step and data, as the journal holds them."""


def rows(count: int) -> list[Row]:
    """The events of a run that goes well, as rows."""
    steps = count // 5
    process = ev.Process(host="host", pid=1, started=0.0)
    definition = _definition(steps)
    events: list[ev.Event] = [created(definition)]
    events.append(ev.RunnerAttached(process=process, actor="user@host"))
    events += went_well(definition)
    return [
        (event.type, event.step, json.dumps(own_fields(event), default=asdict)) for event in events
    ]


def folding(repeats: int) -> dict[str, list[float]]:
    """Seconds to parse the rows, to fold their events, and to do both as `status` does."""
    found = rows(FOLDED)
    at = "2026-01-01T00:00:00.000000+00:00"
    times: dict[str, list[float]] = {"json.loads": [], "fold": [], "decode and fold": []}
    recorded = _recorded(found, at)
    arms: list[tuple[str, Callable[[], object]]] = [
        ("json.loads", lambda: [json.loads(data) for _, _, data in found]),
        ("fold", lambda: fold(recorded)),
        ("decode and fold", lambda: fold(_recorded(found, at))),
    ]
    for _ in range(repeats):
        for name, work in random.sample(arms, len(arms)):
            began = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - began)
    return times


def _recorded(found: Sequence[Row], at: str) -> list[ev.Recorded]:
    from datetime import datetime

    return [
        ev.Recorded(
            run="r1",
            seq=seq,
            at=datetime.fromisoformat(at),
            epoch=1,
            event=decode(kind, step, data),
        )
        for seq, (kind, step, data) in enumerate(found, start=1)
    ]
