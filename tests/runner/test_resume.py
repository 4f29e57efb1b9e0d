"""A run that died or ended FAILED is taken up again, or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alma import Saga, SagaState
from alma.core.state import fold
from alma.errors import DefinitionError, RefusedError
from alma.journal import open_journal
from alma.runner import destroy, resume, rollback, up
from alma.testing import Crash, FakeEngine, Fault
from tests.runner.helpers import (
    CRASHES,
    ended,
    history,
    program,
    settings,
    three,
    types,
)


@pytest.mark.parametrize("fault", CRASHES)
async def test_a_run_that_died_going_forward_is_resumed_to_its_end(
    journal: Path, fault: Fault
) -> None:
    """Same end as undisturbed; the steps already done are not touched again."""
    engine = FakeEngine(faults=[fault])
    with pytest.raises(Crash):
        await up(three(), settings=settings(engine, journal))
    result = await resume(saga=three(), settings=settings(engine, journal))
    assert result.state is SagaState.COMPLETED
    assert engine.counts["up", "s-a"] == 1
    assert all(len(state.resources) == 2 for state in engine.world.values())


@pytest.mark.parametrize("fault", CRASHES)
async def test_a_run_that_died_going_forward_can_be_rolled_back(
    journal: Path, fault: Fault
) -> None:
    """Without its program: the journal and the state are enough."""
    engine = FakeEngine(faults=[fault])
    with pytest.raises(Crash):
        await up(three(), settings=settings(engine, journal))
    result = await ended(rollback(settings=settings(engine, journal)))
    assert result.state is SagaState.COMPENSATED
    assert engine.world == {}


@pytest.mark.parametrize("operation", ["destroy", "remove"])
@pytest.mark.parametrize("after", [0, 1])
async def test_a_run_that_died_going_back_goes_on_going_back(
    journal: Path, operation: Any, after: int
) -> None:
    """At any point of the undo of any step."""
    faults = [
        Fault(project="s-c", operation="up", after=1),
        Fault(project="s-b", operation=operation, effect="crash", after=after),
    ]
    engine = FakeEngine(faults=faults)
    with pytest.raises(Crash):
        await up(three(), settings=settings(engine, journal))
    result = await ended(resume(settings=settings(engine, journal)))
    assert result.state is SagaState.COMPENSATED
    assert engine.world == {}


async def test_a_finished_run_is_not_run_again(journal: Path) -> None:
    """Resume of it only reports."""
    engine = FakeEngine()
    saga = three()
    await up(saga, settings=settings(engine, journal))
    calls = list(engine.calls)
    before = types(journal)
    result = await resume(saga=saga, settings=settings(engine, journal))
    assert result.state is SagaState.COMPLETED
    assert engine.calls == calls
    assert types(journal) == before


async def test_a_changed_saga_is_refused_unless_accepted(journal: Path) -> None:
    """Going forward with another definition must be asked for."""
    engine = FakeEngine(faults=[CRASHES[1]])
    with pytest.raises(Crash):
        await up(three(), settings=settings(engine, journal))
    changed = three()
    changed.add_stack("d", program=program)
    with pytest.raises(DefinitionError, match='step "d" is new'):
        await resume(saga=changed, settings=settings(engine, journal))
    result = await resume(saga=changed, settings=settings(engine, journal), accept_changes=True)
    assert result.state is SagaState.COMPLETED
    assert ("s-d", "dev") in engine.world


async def test_resume_after_stop_goes_forward(journal: Path) -> None:
    """The failed step is tried again, the completed one is not."""
    engine = FakeEngine(faults=[Fault(project="s-b", operation="up", after=1)])
    saga = three(on_failure="stop")
    await ended(up(saga, settings=settings(engine, journal)))
    result = await resume(saga=saga, settings=settings(engine, journal))
    assert result.state is SagaState.COMPLETED
    assert engine.counts["up", "s-a"] == 1


async def test_up_over_a_run_that_died_going_forward_resumes_it(journal: Path) -> None:
    """Only the run that made the stacks knows that they are its own."""
    engine = FakeEngine(faults=[CRASHES[1]])
    with pytest.raises(Crash):
        await up(three(), settings=settings(engine, journal))
    (first,) = {entry.run for entry in history(journal)}
    result = await up(three(), settings=settings(engine, journal))
    assert (result.run_id, result.state) == (first, SagaState.COMPLETED)
    assert engine.counts["up", "s-a"] == 1


async def test_up_over_a_run_that_died_going_back_undoes_it_and_begins_anew(
    journal: Path,
) -> None:
    """What it had made is gone before anything new is made."""
    faults = [
        Fault(project="s-b", operation="up", after=1),
        Fault(project="s-a", operation="destroy", effect="crash", after=1),
    ]
    engine = FakeEngine(faults=faults)
    with pytest.raises(Crash):
        await up(three(), settings=settings(engine, journal))
    (first,) = {entry.run for entry in history(journal)}
    result = await up(three(), settings=settings(engine, journal))
    assert result.state is SagaState.COMPLETED
    assert result.run_id != first
    with open_journal(journal, write=False) as reader:
        assert fold(reader.events(first)).state is SagaState.COMPENSATED


async def test_a_changed_saga_does_not_go_on_with_an_interrupted_run(journal: Path) -> None:
    """It says what is different, and the ways out; nothing is touched."""
    engine = FakeEngine(faults=[CRASHES[1]])
    with pytest.raises(Crash):
        await up(three(), settings=settings(engine, journal))
    changed = three()
    changed.add_stack("d", program=program)
    calls = list(engine.calls)
    with pytest.raises(DefinitionError, match='step "d" is new'):
        await up(changed, settings=settings(engine, journal))
    assert engine.calls == calls


async def test_destroy_over_an_interrupted_run_is_refused(journal: Path) -> None:
    """Its operations in doubt have to be found out about first."""
    engine = FakeEngine(faults=[CRASHES[1]])
    with pytest.raises(Crash):
        await up(three(), settings=settings(engine, journal))
    with pytest.raises(RefusedError, match="rollback"):
        await destroy(three(), settings=settings(engine, journal))


@pytest.mark.parametrize("again", [resume, rollback])
async def test_a_run_that_a_later_one_built_on_is_not_taken_up_again(
    journal: Path, again: Any
) -> None:
    """Its stacks may belong to the later run by now: never a blind destroy."""
    engine = FakeEngine(faults=[Fault(project="s-c", operation="up", after=1)])
    saga = three(on_failure="stop")
    first = await ended(up(saga, settings=settings(engine, journal)))
    second = await up(three(), settings=settings(engine, journal))
    assert second.state is SagaState.COMPLETED
    calls = list(engine.calls)
    with pytest.raises(DefinitionError, match=second.run_id):
        await again(first.run_id, saga=saga, settings=settings(engine, journal))
    assert engine.calls == calls


async def test_a_pivot_in_doubt_is_not_rolled_back(journal: Path) -> None:
    """It may have taken effect: going forward finds out."""
    engine = FakeEngine(faults=[Fault(project="s-b", operation="up", effect="crash", after=1)])
    saga = Saga("s")
    saga.add_stack("a", program=program)
    saga.add_stack("b", program=program, pivot=True)
    with pytest.raises(Crash):
        await up(saga, settings=settings(engine, journal))
    with pytest.raises(DefinitionError, match="in doubt"):
        await rollback(settings=settings(engine, journal))
    result = await resume(saga=saga, settings=settings(engine, journal))
    assert result.state is SagaState.COMPLETED
