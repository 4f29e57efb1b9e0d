"""Small things that several unit tests need."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from alma import Saga
from alma.core.events import Recorded
from alma.core.result import Result, SagaEndedError
from alma.journal import open_journal
from alma.runner.settings import Settings
from alma.testing import FakeEngine, Fault, JournalFault, JournalFaults


def program() -> None:
    """A program for the fake engine, which never runs it."""


def settings(engine: FakeEngine, journal: Path, **more: Any) -> Settings:
    """Run with the fake engine, and without waiting at deadlines."""
    return Settings(engine=engine, journal=journal, grace=0.2, **more)


async def ended(run: Coroutine[Any, Any, Result]) -> Result:
    """The result, whether it is returned or carried by an error."""
    try:
        return await run
    except SagaEndedError as error:
        return error.result


def history(journal: Path, run: str = "latest") -> list[Recorded]:
    """A run's events."""
    with open_journal(journal, write=False) as reader:
        return reader.events(reader.resolve(run))


def types(journal: Path, run: str = "latest") -> list[str]:
    """The names of a run's events, in order."""
    return [entry.event.type for entry in history(journal, run)]


async def until(condition: Callable[[], bool], seconds: float = 300) -> None:
    """Let the loop go on until the condition holds; AssertionError at the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        await asyncio.sleep(0.002)


def three(**options: Any) -> Saga:
    saga = Saga("s", **options)
    a = saga.add_stack("a", program=program)
    b = saga.add_stack("b", program=program, inputs={"url": a.output("url")})
    saga.add_stack("c", program=program, inputs={"url": b.output("url")})
    return saga


CRASHES = [
    Fault(project="s-b", operation="up", effect="crash", after=0),
    Fault(project="s-b", operation="up", effect="crash", after=1),
    Fault(project="s-b", operation="up", effect="crash", after=2),
    Fault(project="s-b", operation="inspect", effect="crash"),
]


def full_disk_after(events: int) -> Any:
    """An opener of journals whose disk is full from this event on."""
    return JournalFaults([JournalFault(nth=events, effect="full")])
