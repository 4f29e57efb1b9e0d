"""Signals, and a journal that takes no more, in the middle of a run."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest

from alma import Saga, SagaInterrupted, SagaState
from alma.runner import resume, rollback, up
from alma.testing import FakeEngine, Fault
from tests.runner.helpers import (
    ended,
    full_disk_after,
    settings,
    three,
    types,
    until,
)


async def test_one_signal_drains_and_undoes(journal: Path) -> None:
    """No new step starts, the CLI is told once, and the failure policy applies."""
    engine = FakeEngine(faults=[Fault(project="s-b", operation="up", effect="hang", after=1)])
    run = asyncio.create_task(ended(up(three(), settings=settings(engine, journal))))
    await until(lambda: ("up", "s-b") in engine.calls)
    os.kill(os.getpid(), signal.SIGTERM)
    result = await run
    assert result.state is SagaState.COMPENSATED
    assert engine.world == {}
    assert ("up", "s-c") not in engine.calls
    assert "SignalSent" in types(journal)


async def test_two_signals_stop_at_once_and_leave_it_in_doubt(journal: Path) -> None:
    """INTERRUPTED: journaled as such, resumable, exit 8."""

    async def stubborn() -> None:
        started.set()
        await asyncio.Event().wait()

    started = asyncio.Event()
    saga = Saga("s")
    saga.add_step("x", action=stubborn, compensation=lambda: None)
    run = asyncio.create_task(up(saga, journal=journal))
    await started.wait()
    os.kill(os.getpid(), signal.SIGINT)
    await until(lambda: "InterruptReceived" in types(journal))
    os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(SagaInterrupted) as caught:
        await run
    assert caught.value.exit_code == 8
    assert types(journal)[-2:] == ["OperationLeftInDoubt", "RunInterrupted"]
    undone = await ended(rollback(saga=saga, journal=journal))
    assert undone.state is SagaState.COMPENSATED


async def test_a_full_disk_in_the_middle_interrupts_with_an_emergency_record(
    journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The outcome that could not be journaled is on stderr; later the run can be resumed."""
    engine = FakeEngine()
    full = settings(engine, journal, open_journal=full_disk_after(5))
    with pytest.raises(SagaInterrupted, match="disk that is full"):
        await up(three(), settings=full)
    lost = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert (lost[0]["type"], lost[0]["step"]) == ("OperationSucceeded", "a")
    assert {line["step"] for line in lost[1:]} <= {"b"}
    assert engine.calls == [("up", "s-a")]
    result = await resume(saga=three(), settings=settings(engine, journal))
    assert result.state is SagaState.COMPLETED
