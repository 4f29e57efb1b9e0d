"""What a failure leads to: all is undone, verified, or named as left."""

from __future__ import annotations

from pathlib import Path

import pytest

from alma import Retry, Saga, SagaFailed, SagaState
from alma.journal import open_journal
from alma.journal.reading import proven_gone
from alma.runner import destroy, rollback, up
from alma.testing import Crash, FakeEngine, Fault
from tests.runner.helpers import (
    ended,
    program,
    settings,
    three,
)


async def test_a_failure_undoes_everything_and_leaves_an_empty_world(journal: Path) -> None:
    """The failed step first, then in reverse; verified; the records that it made are gone."""
    engine = FakeEngine(faults=[Fault(project="s-c", operation="up", after=1)])
    with pytest.raises(SagaFailed, match="fault injected at two") as caught:
        await up(three(), settings=settings(engine, journal))
    assert caught.value.result.state is SagaState.COMPENSATED
    assert caught.value.exit_code == 4
    assert engine.world == {}
    destroys = [project for operation, project in engine.calls if operation == "destroy"]
    assert destroys == ["s-c", "s-b", "s-a"]


async def test_a_lying_destroy_is_not_believed(journal: Path) -> None:
    """A successful destroy over what is still in the state is FAILED, and names it."""
    faults = [
        Fault(project="s-b", operation="up", after=1),
        Fault(project="s-b", operation="destroy", effect="lie", after=0),
    ]
    engine = FakeEngine(faults=faults)
    result = await ended(up(three(), settings=settings(engine, journal)))
    assert result.state is SagaState.FAILED
    assert result.exit_code == 10
    urns = {left.urn.rpartition("::")[2] for left in result.leftovers if left.step == "b"}
    assert urns == {"one"}
    assert {left.step for left in result.leftovers} == {"a", "b"}


async def test_a_pending_create_is_never_clean(journal: Path) -> None:
    """Destroy succeeds over a pending operation; the run must not."""
    engine = FakeEngine(faults=[Fault(project="s-b", operation="up", effect="pending", after=1)])
    result = await ended(up(three(), settings=settings(engine, journal)))
    assert result.state is SagaState.FAILED
    assert any("creating" in left.reason for left in result.leftovers)


async def test_what_has_nothing_to_undo_is_no_leftover_when_it_was_held_up(journal: Path) -> None:
    """The author's word holds, whether its turn to be undone came or not."""
    engine = FakeEngine(
        faults=[
            Fault(project="s-a", operation="up", after=1),
            Fault(project="s-a", operation="destroy"),
        ]
    )
    saga = Saga("s")
    saga.add_step("check", action=lambda: None, compensation="none")
    saga.add_stack("a", program=program)
    result = await ended(up(saga, settings=settings(engine, journal)))
    assert result.state is SagaState.FAILED
    assert {left.step for left in result.leftovers} == {"a"}


async def test_a_failed_undo_is_retried_by_its_own_policy(journal: Path) -> None:
    """compensation_retry, apart from the action's."""
    faults = [
        Fault(project="s-a", operation="up", after=1),
        Fault(project="s-a", operation="destroy", nth=1),
        Fault(project="s-a", operation="destroy", nth=2),
    ]
    engine = FakeEngine(faults=faults)
    saga = Saga("s")
    saga.add_stack("a", program=program, compensation_retry=Retry(attempts=3, delay=0))
    result = await ended(up(saga, settings=settings(engine, journal)))
    assert result.state is SagaState.COMPENSATED
    assert engine.counts["destroy", "s-a"] == 3


async def test_a_stack_that_existed_before_is_put_back(journal: Path) -> None:
    """Changed by this run: restored to what it held, never destroyed."""
    engine = FakeEngine(faults=[Fault(project="s-b", operation="up", after=0)])
    engine.existing("s-a", "dev", "one")
    result = await ended(up(three(), settings=settings(engine, journal)))
    assert result.state is SagaState.COMPENSATED
    assert result.status.steps["a"].how == "restored"
    assert ("destroy", "s-a") not in engine.calls
    assert [one.urn.rpartition("::")[2] for one in engine.world["s-a", "dev"].resources] == ["one"]
    assert {urn.rpartition("::")[2] for urn in engine.reality.things} == {"one"}


async def test_an_up_that_changed_nothing_needs_no_undo(journal: Path) -> None:
    """It existed and is the same: clean, and untouched."""
    engine = FakeEngine(faults=[Fault(project="s-b", operation="up", after=0)])
    engine.existing("s-a", "dev", "one", "two")
    result = await ended(up(three(), settings=settings(engine, journal)))
    assert result.state is SagaState.COMPENSATED
    assert result.status.steps["a"].how == "unchanged"
    assert set(engine.world) == {("s-a", "dev")}


async def test_a_record_that_was_there_before_is_kept(journal: Path) -> None:
    """Only a record that this run made is removed."""
    engine = FakeEngine(faults=[Fault(project="s-a", operation="up", after=1)])
    engine.existing("s-a", "dev")
    result = await ended(up(three(), settings=settings(engine, journal)))
    assert result.state is SagaState.COMPENSATED
    assert engine.world["s-a", "dev"].is_empty


async def test_policy_stop_names_everything_and_rollback_undoes_it(journal: Path) -> None:
    """on_failure="stop": FAILED and looked at; a later rollback ends COMPENSATED."""
    engine = FakeEngine(faults=[Fault(project="s-b", operation="up", after=1)])
    result = await ended(up(three(on_failure="stop"), settings=settings(engine, journal)))
    assert result.state is SagaState.FAILED
    assert {left.step for left in result.leftovers} == {"a", "b"}
    undone = await ended(rollback(settings=settings(engine, journal)))
    assert undone.state is SagaState.COMPENSATED
    assert engine.world == {}


async def test_retain_leaves_the_stack_and_names_it(journal: Path) -> None:
    """compensation="retain" opts a step out of the undo."""
    engine = FakeEngine(faults=[Fault(project="s-a", operation="up", after=1)])
    saga = Saga("s")
    saga.add_stack("a", program=program, compensation="retain")
    result = await ended(up(saga, settings=settings(engine, journal)))
    assert result.state is SagaState.FAILED
    assert [left.id for left in result.leftovers] == ["s-a-one"]
    assert ("destroy", "s-a") not in engine.calls


async def test_a_stack_s_own_compensation_is_called_before_its_destroy(journal: Path) -> None:
    """To drain or to empty; the state is verified all the same."""
    engine = FakeEngine(faults=[Fault(project="s-a", operation="up", after=1)])
    held: list[int] = []
    saga = Saga("s")
    saga.add_stack(
        "a",
        program=program,
        compensation=lambda: held.append(len(engine.world["s-a", "dev"].resources)),
    )
    result = await ended(up(saga, settings=settings(engine, journal)))
    assert held == [1]
    assert result.state is SagaState.COMPENSATED


async def test_destroy_takes_all_down_and_keeps_the_records(journal: Path) -> None:
    """A run of its own, in reverse; the records go only when asked."""
    engine = FakeEngine()
    await up(three(), settings=settings(engine, journal))
    result = await destroy(three(), settings=settings(engine, journal))
    assert result.state is SagaState.COMPLETED
    assert [key for key in engine.calls if key[0] == "destroy"] == [
        ("destroy", "s-c"),
        ("destroy", "s-b"),
        ("destroy", "s-a"),
    ]
    assert all(state.is_empty for state in engine.world.values())
    await destroy(three(), settings=settings(engine, journal), remove=True)
    assert engine.world == {}


async def test_a_record_that_vanished_is_no_proof(journal: Path) -> None:
    """The state was lost before the undo: what this run made is named, never called clean."""
    engine = FakeEngine(faults=[Fault(project="s-b", operation="up", effect="crash", after=1)])
    with pytest.raises(Crash):
        await up(three(), settings=settings(engine, journal))
    del engine.world["s-a", "dev"]
    result = await ended(rollback(settings=settings(engine, journal)))
    assert result.state is SagaState.FAILED
    assert {left.step for left in result.leftovers} == {"a"}
    assert {left.id for left in result.leftovers} == {"s-a-one", "s-a-two"}


async def test_leftovers_stay_listed_until_a_later_run_proves_them_gone(journal: Path) -> None:
    """A destroy that has seen the stack empty is proof; one that failed is none."""
    faults = [Fault(project="s-b", operation="destroy", nth=n, after=0) for n in (1, 2)]
    engine = FakeEngine(faults=[Fault(project="s-c", operation="up", after=1), *faults])
    failed = await ended(up(three(), settings=settings(engine, journal)))
    assert {left.step for left in failed.leftovers} == {"a", "b"}
    await ended(destroy(three(), settings=settings(engine, journal)))
    with open_journal(journal, write=False) as reader:
        assert proven_gone(reader, failed.status) == {}
    proof = await destroy(three(), settings=settings(engine, journal))
    with open_journal(journal, write=False) as reader:
        gone = proven_gone(reader, failed.status)
    assert set(gone.values()) == {proof.run_id}
    assert set(gone) == set(failed.leftovers)
