"""Runs over the fake engine and a real journal, going forward."""

from __future__ import annotations

from pathlib import Path

import pytest

from alma import Retry, Saga, SagaState
from alma.core import events as ev
from alma.errors import JournalError, RunnerBusyError
from alma.journal import open_journal
from alma.runner import up
from alma.testing import FakeEngine, FakeProgram, Fault
from tests.runner.helpers import (
    ended,
    full_disk_after,
    history,
    program,
    settings,
    three,
)


async def test_all_stacks_go_up_in_order(journal: Path) -> None:
    """COMPLETED, with the outputs by step."""
    engine = FakeEngine()
    result = await up(three(), settings=settings(engine, journal))
    assert result.state is SagaState.COMPLETED
    assert result.outputs["c"]["url"] == "fake://"
    assert engine.calls == [("up", "s-a"), ("up", "s-b"), ("up", "s-c")]


async def test_every_effect_has_its_intent_before_it(journal: Path) -> None:
    """Each outcome in the journal follows the intent of the same operation."""
    engine = FakeEngine(faults=[Fault(project="s-b", operation="up", after=1)])
    await ended(up(three(), settings=settings(engine, journal)))
    open_: set[str] = set()
    for entry in history(journal):
        event = entry.event
        if isinstance(event, ev.OperationIntended):
            open_.add(event.operation)
        if isinstance(event, ev.OperationSucceeded | ev.OperationFailed):
            open_.remove(event.operation)
    assert not open_


async def test_an_action_is_retried_and_then_completes(journal: Path) -> None:
    """Retry counts attempts of the action."""
    engine = FakeEngine(faults=[Fault(project="s-a", operation="up", after=1)])
    saga = Saga("s")
    saga.add_stack("a", program=program, retry=Retry(attempts=2, delay=0))
    result = await up(saga, settings=settings(engine, journal))
    assert result.status.steps["a"].operations == 2


async def test_a_missing_output_is_the_consumer_s_failure(journal: Path) -> None:
    """It names the outputs that there are."""
    engine = FakeEngine(programs={"s-a": FakeProgram(outputs={"path": "x"})})
    result = await ended(up(three(), settings=settings(engine, journal)))
    assert result.error is not None
    words = 'step "a" has no output "url"; it has: path; export it with pulumi.export("url", ...)'
    assert result.error.message == words
    assert result.state is SagaState.COMPENSATED


async def test_a_second_runner_is_refused_while_the_first_lives(journal: Path) -> None:
    """One lease for each target."""
    engine = FakeEngine()
    with (
        open_journal(journal, write=True) as held,
        held.acquire("s/dev", "other"),
        pytest.raises(RunnerBusyError),
    ):
        await up(three(), settings=settings(engine, journal))
    assert engine.calls == []


async def test_a_full_disk_before_the_first_step_refuses_the_run(journal: Path) -> None:
    """Nothing outside was touched."""
    engine = FakeEngine()
    full = settings(engine, journal, open_journal=full_disk_after(2))
    with pytest.raises(JournalError) as caught:
        await up(three(), settings=full)
    assert caught.value.exit_code == 11
    assert engine.world == {}
