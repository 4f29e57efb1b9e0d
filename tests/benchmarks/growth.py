"""How cost grows: with stacks, with resources in a stack, with runs in a journal."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from alma.journal import Journal, open_journal
from alma.journal.journal import utc_now
from alma.runner import up
from alma.runner.settings import Settings
from alma.saga.saga import Saga
from alma.testing import FakeEngine
from tests.benchmarks import core
from tests.benchmarks.room import House, script
from tests.benchmarks.timing import Arm, interleave, tell, timed

Series = dict[int, float]
FAKE = (1, 10, 100, 1000)
RESOURCES = (10, 100, 300, 1000)
RUNS = (10, 100, 1000, 10_000, 100_000)


def fake_stacks(place: Path, *, deep: bool, sizes: tuple[int, ...] = FAKE) -> Series:
    """Milliseconds of alma's own for each stack, over an engine that does nothing."""
    found: Series = {}
    for size in sizes:
        saga = Saga(f"grow-{size}-{'deep' if deep else 'wide'}", stack="dev")
        for number in range(size):
            saga.add_stack(f"s{number}", program=_nothing, after=None if deep else [])
        settings = Settings(engine=FakeEngine(), journal=place / "journal.db")
        began = time.perf_counter()
        asyncio.run(up(saga, settings=settings))
        found[size] = 1000 * (time.perf_counter() - began) / size
        tell(f"growth: {size} stacks, {'deep' if deep else 'wide'}")
    return found


def _nothing() -> None:
    """The fake engine does not run it."""


def real_stacks(house: House, repeats: int, sizes: tuple[int, ...]) -> dict[str, Series]:
    """Seconds for each real stack: a chain, and side by side at parallelism 4."""
    found: dict[str, Series] = {"deep": {}, "wide": {}}
    for size in sizes:
        last = "/".join(["start", *(f"chain-s{number}" for number in range(1, size + 1))])
        arms = [
            Arm("deep", {"fresh": script("alma_chain.py", size)}, {"fresh": last}),
            Arm("wide", {"fresh": script("alma_wide.py", size, 4)}, {"fresh": str(size)}),
        ]
        label = f"growth: {size} real stacks"
        # The first size warms up for all: the others would take twice as long for nothing.
        times = interleave(house, arms, repeats, label=label, warm=size == sizes[0])
        for arm in arms:
            found[arm.name][size] = median(times[arm.name, "fresh"]) / size
    return found


def resources(house: House, sizes: tuple[int, ...] = RESOURCES) -> dict[str, Series]:
    """Milliseconds for each resource of one stack, by alma and by the API's own script."""
    found: dict[str, Series] = {"A": {}, "B": {}}
    for size in sizes:
        for name, file in (("A", "alma_many.py"), ("B", "api_many.py")):
            with house.room() as room:
                seconds, _ = timed(room, script(file, size))
            found[name][size] = 1000 * seconds / size
        tell(f"growth: {size} resources")
    return found


def journals(house: House, place: Path, sizes: tuple[int, ...] = RUNS) -> dict[str, Series]:
    """Milliseconds of whole commands over journals with so many runs of one step."""
    found: dict[str, Series] = {"runs": {}, "status": {}, "append": {}}
    path, filled = place / "many.db", 0
    for size in sizes:
        _fill(path, filled, size)
        filled = size
        with house.room() as room:
            for name in ("runs", "status"):
                line = ["alma-pulumi", name, "--journal", str(path)]
                found[name][size] = 1000 * median(timed(room, line)[0] for _ in range(5))
        found["append"][size] = 1000 * _append(path, f"append-{size}")
        tell(f"growth: {size} runs in the journal")
    return found


def _fill(path: Path, begin: int, end: int) -> None:
    """Add finished runs; not durably, which would take hours and is not what is measured."""
    from alma.core import events as ev
    from alma.journal.sqlite.store import SqliteStore

    definition = core.small()
    store = SqliteStore(path, write=True)
    with Journal(store, utc_now) as journal:
        store._database._connection.execute("PRAGMA synchronous = OFF")
        for number in range(begin, end):
            run = f"r{number:07}"
            with journal.acquire(definition.target, run) as lease:
                journal.create_run(run, core.created(definition), lease)
                attached = ev.RunnerAttached(process=lease.process, actor="user@host")
                events = (attached, *core.went_well(definition), ev.RunCompleted())
                journal.commit([journal.draft(run, 0, event, lease) for event in events], lease)


def _append(path: Path, run: str) -> float:
    definition = core.small()
    with (
        open_journal(path, write=True) as journal,
        journal.acquire(definition.target, run) as lease,
    ):
        journal.create_run(run, core.created(definition), lease)
        event = core.succeeded("s1")
        return median(core.each(_appender(journal, run, event, lease)))


def _appender(journal: Journal, run: str, event: object, lease: object) -> Callable[[], object]:
    return lambda: journal.append(run, event, lease)  # type: ignore[arg-type]


if __name__ == "__main__":
    sys.exit("Use `nox -s bench`.")
