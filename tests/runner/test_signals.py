"""The process's signals are its host's: runs are told, the host as well, and all is put back."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from alma import Saga, SagaState
from alma.core.result import Result
from alma.runner import interrupt, up
from alma.runner.signals import catch_signals
from tests.runner.helpers import ended, types, until

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """A host that survives what no run is told, and whose own handlers come back."""
    before = {each: signal.getsignal(each) for each in SIGNALS}
    for each in SIGNALS:
        signal.signal(each, lambda _number, _frame: None)
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


class Waiting:
    """A saga whose one step waits until it is let go, and whose undo is seen."""

    def __init__(self, name: str) -> None:
        self.begun, self.go, self.undone = (threading.Event() for _ in range(3))
        self.saga = Saga(name)
        self.saga.add_step("wait", action=self._wait, compensation=self.undone.set)
        self.saga.add_step("last", action=lambda: None, compensation="none")

    def _wait(self) -> None:
        self.begun.set()
        assert self.go.wait(20)


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


async def interrupted(one: Waiting, journal: Path, number: signal.Signals) -> Result:
    """Run it, and send the signal while its step is at work."""
    run = asyncio.create_task(ended(up(one.saga, journal=journal)))
    await until(one.begun.is_set)
    send(number)
    await until(lambda: "InterruptReceived" in types(journal))
    one.go.set()
    return await run


async def test_a_signal_that_another_thread_is_given_wakes_the_loop() -> None:
    """So does one that comes right before the loop begins to wait. Nothing else would for long."""
    told, late = asyncio.Event(), asyncio.Event()
    asyncio.get_running_loop().call_later(60, late.set)

    def kill() -> None:
        time.sleep(0.5)
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

    with catch_signals(lambda _name: told.set()):
        threading.Thread(target=kill).start()
        await told.wait()
    assert not late.is_set()
    assert signal.set_wakeup_fd(-1) == -1


async def test_what_wakes_the_host_stays_as_it_was() -> None:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, lambda: None)
    before = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(before)
    with catch_signals(lambda _name: None):
        pass
    assert signal.set_wakeup_fd(before) == before != -1
    loop.remove_signal_handler(signal.SIGTERM)


async def test_a_handler_of_the_hosts_loop_is_told_during_a_run_and_after_it(journal: Path) -> None:
    told: list[str] = []
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, told.append, "host")
    one = Waiting("s")
    result = await interrupted(one, journal, signal.SIGTERM)
    assert result.state is SagaState.COMPENSATED
    assert one.undone.is_set()
    assert told == ["host"]
    send(signal.SIGTERM)
    await until(lambda: told == ["host", "host"])
    assert loop.remove_signal_handler(signal.SIGTERM)


@pytest.mark.parametrize("number", SIGNALS)
async def test_a_handler_of_the_hosts_process_is_told_during_a_run_and_after_it(
    journal: Path, number: signal.Signals
) -> None:
    told: list[int] = []
    handler: Callable[..., Any] = lambda got, _frame: told.append(got)  # noqa: E731
    signal.signal(number, handler)
    assert (await interrupted(Waiting("s"), journal, number)).state is SagaState.COMPENSATED
    assert told == [number]
    assert signal.getsignal(number) is handler


async def test_what_the_hosts_handler_raises_waits_until_the_run_has_ended(journal: Path) -> None:
    """`sys.exit` in a handler for SIGTERM is what many hosts have."""

    def leave(_number: int, _frame: object) -> None:
        raise RuntimeError("the host leaves")

    signal.signal(signal.SIGTERM, leave)
    one = Waiting("s")
    with pytest.raises(RuntimeError, match="the host leaves"):
        await interrupted(one, journal, signal.SIGTERM)
    assert one.undone.is_set()
    assert types(journal)[-1] == "RunCompensated"


async def test_of_two_runs_in_one_loop_the_first_to_end_takes_nothing_from_the_other(
    tmp_path: Path,
) -> None:
    before = [signal.getsignal(each) for each in SIGNALS]
    long, short = Waiting("long"), Waiting("short")
    journal = tmp_path / "long.db"
    first = asyncio.create_task(ended(up(long.saga, journal=journal)))
    await until(long.begun.is_set)
    short.go.set()
    assert (await up(short.saga, journal=tmp_path / "short.db")).state is SagaState.COMPLETED
    send(signal.SIGTERM)
    await until(lambda: "InterruptReceived" in types(journal))
    long.go.set()
    assert (await first).state is SagaState.COMPENSATED
    assert [signal.getsignal(each) for each in SIGNALS] == before


async def test_every_live_run_is_told_also_those_in_threads(tmp_path: Path) -> None:
    names = ("a", "b", "thread")
    runs = {name: Waiting(name) for name in names}
    journals = {name: tmp_path / f"{name}.db" for name in names}

    def start(name: str) -> Any:
        return ended(up(runs[name].saga, journal=journals[name]))

    here = [asyncio.create_task(start(name)) for name in ("a", "b")]
    there = asyncio.create_task(asyncio.to_thread(lambda: asyncio.run(start("thread"))))
    for name in names:
        await until(runs[name].begun.is_set)
    send(signal.SIGTERM)
    for name in names:
        await until(lambda name=name: "InterruptReceived" in types(journals[name]))  # type: ignore[misc]
        runs[name].go.set()
    for task in (*here, there):
        assert (await task).state is SagaState.COMPENSATED


async def test_a_host_may_handle_signals_itself(journal: Path) -> None:
    before = [signal.getsignal(each) for each in SIGNALS]
    one = Waiting("s")
    run = asyncio.create_task(ended(one.saga.execute(journal=journal, handle_signals=False)))
    await until(one.begun.is_set)
    assert [signal.getsignal(each) for each in SIGNALS] == before
    interrupt("SIGTERM")
    await until(lambda: "InterruptReceived" in types(journal))
    one.go.set()
    assert (await run).state is SagaState.COMPENSATED


async def test_a_handler_that_the_host_sets_meanwhile_is_kept(journal: Path) -> None:
    def meanwhile(_number: int, _frame: object) -> None: ...

    one = Waiting("s")
    run = asyncio.create_task(up(one.saga, journal=journal))
    await until(one.begun.is_set)
    signal.signal(signal.SIGTERM, meanwhile)
    one.go.set()
    assert (await run).state is SagaState.COMPLETED
    assert signal.getsignal(signal.SIGTERM) is meanwhile


async def test_what_the_parent_ignores_stays_ignored(journal: Path) -> None:
    """`nohup`, and a job in the background."""
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    one = Waiting("s")
    run = asyncio.create_task(up(one.saga, journal=journal))
    await until(one.begun.is_set)
    for each in SIGNALS:
        send(each)
    one.go.set()
    assert (await run).state is SagaState.COMPLETED
    assert "InterruptReceived" not in types(journal)
    assert [signal.getsignal(each) for each in SIGNALS] == [signal.SIG_IGN] * 3


EARLY = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever the tests were started with
from pathlib import Path
from alma import Saga
from alma.runner import Settings, run_sync, up
from alma.testing import JournalFaults

def act():
    Path("begun").touch()

saga = Saga("s")
saga.add_step("a", action=act, compensation=lambda: Path("begun").unlink())
early = JournalFaults(before={1: lambda: os.kill(os.getpid(), signal.SIGINT)})
try:
    run_sync(lambda: up(saga, settings=Settings(journal="journal.db", open_journal=early)))
except KeyboardInterrupt:
    sys.exit(8)
"""


def test_a_signal_before_the_first_step_begins_none(tmp_path: Path) -> None:
    """It comes as the run is made: `asyncio.run` has it, and would cut the first action off."""
    done = subprocess.run([sys.executable, "-c", EARLY], cwd=tmp_path, timeout=300, check=False)
    assert done.returncode == 8
    assert not (tmp_path / "begun").exists()
    assert "OperationIntended" not in types(tmp_path / "journal.db")
