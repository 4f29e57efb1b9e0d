"""Taking down what has expired: which way, and that nothing is forgotten."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from alma import DefinitionError, Saga, SagaState
from alma.core import events as ev
from alma.core.result import Result
from alma.core.selection import Selection
from alma.journal import open_journal
from alma.journal.left import still_left
from alma.runner import resume
from alma.runner.binding import check
from alma.runner.reap import Due, NotDueError, find_due, reap
from alma.testing import Crash, Fault
from tests.runner.helpers import ended, history, program, three
from tests.runner.test_expiry import World


@pytest.fixture
def world(journal: Path) -> World:
    return World(journal)


def due(world: World, target: str = "s/dev") -> Due | None:
    with world.settings().open(write=False) as journal:
        return find_due(journal, target)


async def turn(world: World, saga: Saga | None = None, target: str = "s/dev") -> Result:
    """One act of `reap`."""
    found = due(world, target)
    assert found is not None
    assert found.way is not None, found.why
    return await ended(reap(found, saga, world.settings()))


def made(world: World) -> set[str]:
    return {urn.rpartition("::")[2] for urn in world.engine.reality.things}


def undone(world: World) -> list[str]:
    """The steps of the last run, as they were undone."""
    found = (entry.event for entry in history(world.journal))
    return [event.step for event in found if isinstance(event, ev.StepCompensated)]


def faults(world: World, *found: Fault) -> None:
    world.engine = world.engine.restarted(found)


async def test_nothing_is_due_before_its_time_and_all_of_it_goes_after(world: World) -> None:
    run = await world.up(three(), "4h")
    world.now += timedelta(hours=4) - timedelta(seconds=1)
    assert due(world) is None
    world.now += timedelta(seconds=1)
    found = due(world)
    assert found is not None
    assert (found.run.run, found.way, sorted(found.steps)) == (run.run_id, "destroy", list("abc"))
    done = await turn(world)  # by the journal alone
    assert (done.status.kind, done.state) == ("destroy", SagaState.COMPLETED)
    assert done.status.reaps == run.run_id
    assert undone(world) == ["c", "b", "a"]
    assert made(world) == set()
    assert due(world) is None


async def test_with_functions_its_saga_is_needed_and_called(world: World) -> None:
    called = []

    def saga() -> Saga:
        saga = three()
        saga.add_step(name="d", action=print, compensation=lambda: called.append("d"))
        return saga

    await world.up(saga(), "4h")
    world.now += timedelta(hours=4)
    found = due(world)
    assert found is not None
    with pytest.raises(DefinitionError, match="d") as refused:
        await reap(found, None, world.settings())
    assert "reap TARGET" in refused.value.hint
    assert due(world) is not None
    assert (await turn(world, saga())).state is SagaState.COMPLETED
    assert called == ["d"]


async def test_what_its_saga_has_not_any_more_goes_too_and_last_what_others_need(
    world: World,
) -> None:
    """`b` is gone from the file and was made by an earlier run; a later run was about `c` alone."""
    await world.up(three(), "4h")
    only = Saga("s")
    first = only.add_stack("a", program=program)
    only.add_stack("c", program=program, inputs={"url": first.output("url")})
    await world.up(only)
    world.now += timedelta(hours=4)
    done = await turn(world, only)
    assert done.state is SagaState.COMPLETED
    assert made(world) == set()
    assert undone(world).index("a") == 2


async def test_a_selection_says_it_of_the_whole_environment(world: World) -> None:
    await world.up(three())
    await world.up(three(), "1h", selection=Selection(steps=("c",), exclusive=True))
    world.now += timedelta(hours=1)
    assert (await turn(world)).state is SagaState.COMPLETED
    assert made(world) == set()
    assert undone(world) == ["c", "b", "a"]


async def test_a_destroy_that_fails_is_named_and_the_next_reap_goes_on(world: World) -> None:
    await world.up(three(), "4h")
    world.now += timedelta(hours=4)
    faults(world, Fault(project="s-b", operation="destroy", after=0))
    failed = await turn(world)
    assert failed.state is SagaState.FAILED
    assert {left.step for left in failed.leftovers} == {"a", "b"}
    again = due(world)
    assert again is not None
    assert again.way == "destroy"
    assert sorted(again.steps) == ["a", "b"]
    assert (await turn(world)).state is SagaState.COMPLETED
    assert made(world) == set()
    assert due(world) is None


async def test_a_reap_that_was_killed_is_gone_on_with(world: World) -> None:
    await world.up(three(), "4h")
    world.now += timedelta(hours=4)
    faults(world, Fault(project="s-b", operation="destroy", effect="crash", after=0))
    found = due(world)
    assert found is not None
    with pytest.raises(Crash):
        await reap(found, None, world.settings())
    faults(world)
    again = due(world)
    assert again is not None
    assert again.way == "resume"
    assert (await turn(world)).state is SagaState.COMPLETED
    assert made(world) == set()
    assert due(world) is None


async def test_a_run_that_was_cut_off_is_rolled_back_and_what_was_before_it_stays(
    world: World,
) -> None:
    """It was there before, and nobody has said of it that it expires."""
    await world.up(three())
    faults(world, Fault(project="s-b", operation="up", effect="crash", after=1))
    with pytest.raises(Crash):
        await world.up(three(), "4h")
    world.now += timedelta(hours=4)
    faults(world)
    found = due(world)
    assert found is not None
    assert found.way == "rollback"
    assert (await turn(world)).state is SagaState.COMPENSATED
    assert due(world) is None
    assert len(made(world)) == 2
    assert len(world.engine.reality.things) == 6


async def test_and_expires_when_it_did_before(world: World) -> None:
    await world.up(three(), "2h")
    faults(world, Fault(project="s-b", operation="up", effect="crash", after=1))
    with pytest.raises(Crash):
        await world.up(three(), "3h")
    faults(world)
    world.now += timedelta(hours=4)
    assert (await turn(world)).state is SagaState.COMPENSATED
    assert (await turn(world)).status.kind == "destroy"
    assert made(world) == set()


async def test_a_failed_one_is_rolled_back(world: World) -> None:
    faults(world, Fault(project="s-c", operation="up", after=1))
    failed = await world.up(three(on_failure="stop"), "4h")
    assert failed.state is SagaState.FAILED
    world.now += timedelta(hours=4)
    faults(world)
    assert (await turn(world)).state is SagaState.COMPENSATED
    assert made(world) == set()
    assert due(world) is None


async def test_past_its_point_of_no_return_a_failed_one_is_destroyed(world: World) -> None:
    def saga() -> Saga:
        saga = Saga("s")
        saga.add_stack("a", program=program, pivot=True)
        saga.add_stack("b", program=program)
        return saga

    faults(world, Fault(project="s-b", operation="up", after=1))
    assert (await world.up(saga(), "4h")).state is SagaState.FAILED
    world.now += timedelta(hours=4)
    faults(world)
    found = due(world)
    assert found is not None
    assert found.way == "destroy"
    assert (await turn(world)).state is SagaState.COMPLETED
    assert made(world) == set()


async def test_what_is_resumed_while_it_is_taken_down_is_not_forgotten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A destroy of all is the end of all: it must not be one of what it had not seen."""

    def saga() -> Saga:
        saga = Saga("s")
        saga.add_stack("a", program=program, pivot=True)
        saga.add_stack("b", program=program)
        saga.add_stack("c", program=program, after=["b"])
        return saga

    faults(world, Fault(project="s-b", operation="up", after=0))
    run = await world.up(saga(), "4h")
    assert run.state is SagaState.FAILED
    world.now += timedelta(hours=4)
    faults(world)
    before = due(world)
    assert before is not None
    assert before.way == "destroy"
    assert "c" not in before.steps

    async def resumed(*asked: Any) -> Any:
        monkeypatch.setattr("alma.runner.reap.check", check)
        await ended(resume(run.run_id, saga=saga(), settings=world.settings()))
        return await check(*asked)

    monkeypatch.setattr("alma.runner.reap.check", resumed)
    with pytest.raises(NotDueError, match="has changed meanwhile"):
        await reap(before, saga(), world.settings())
    assert (await turn(world, saga())).state is SagaState.COMPLETED
    assert made(world) == set()


async def test_what_a_run_before_has_lost_is_still_named_when_all_is_taken_down(
    world: World,
) -> None:
    """Of a create whose provider was lost no state tells; of a saga within its own runs do."""

    def outer() -> Saga:
        inner, saga = Saga("inner"), Saga("s")
        inner.add_stack("a", program=program)
        saga.add_saga("part", inner)
        return saga

    faults(world, Fault(project="inner-a", operation="up", effect="leak", after=1))
    lost = await world.up(outer(), "4h")
    assert lost.state is SagaState.FAILED
    faults(world)
    await world.up(outer(), "4h")
    world.now += timedelta(hours=4)
    faults(world, Fault(project="inner-a", operation="destroy", after=0))
    assert (await turn(world, outer())).state is SagaState.FAILED
    faults(world)
    assert (await turn(world, outer())).state is SagaState.COMPLETED
    with open_journal(world.journal, write=False) as journal:
        named = still_left(journal, "s/dev")
    assert {left.urn for left in named} == {left.urn for left in lost.leftovers}
    assert len(named) == 1


async def test_a_wait_for_an_approval_ends_with_its_time(world: World) -> None:
    saga = Saga("s")
    saga.add_stack("a", program=program)
    saga.add_approval("agree", ["jane"])
    saga.add_stack("b", program=program)
    assert (await world.up(saga, "4h")).exit_code == 8
    world.now += timedelta(hours=4)
    assert (await turn(world)).state is SagaState.COMPENSATED
    assert made(world) == set()


async def test_what_a_call_has_made_before_a_run_that_was_undone_goes_as_well(
    world: World,
) -> None:
    """The undo of the second run was of what that had made: the first one's is there still."""
    there: list[int] = []
    numbers = iter(range(10))

    def saga(*, fails: bool = False) -> Saga:
        def act() -> dict[str, int]:
            there.append(next(numbers))
            return {"id": there[-1]}

        def undo(context: Any) -> None:
            there.remove(context.result["id"])

        def last() -> None:
            if fails:
                raise RuntimeError("no")

        saga = Saga("s")
        first = saga.add_step(act, undo, name="first")
        saga.add_step(last, "none", name="last", after=[first])
        return saga

    await world.up(saga(), "4h")
    assert (await world.up(saga(fails=True))).state is SagaState.COMPENSATED
    assert there == [0]
    world.now += timedelta(hours=4)
    assert (await turn(world, saga())).state is SagaState.COMPLETED
    assert there == []


async def test_a_saga_in_a_saga_goes_with_the_outer_one(world: World) -> None:
    def outer() -> Saga:
        saga, inner = Saga("outer"), Saga("inner", ttl="1h")
        inner.add_stack("a", program=program)
        saga.add_saga("part", inner)
        return saga

    await world.up(outer(), "4h")
    world.now += timedelta(hours=2)
    assert due(world, "inner/dev") is None
    assert due(world, "outer/dev") is None
    world.now += timedelta(hours=2)
    assert (await turn(world, outer(), "outer/dev")).state is SagaState.COMPLETED
    assert made(world) == set()
    assert due(world, "outer/dev") is None
    assert due(world, "inner/dev") is None


async def test_of_what_temporal_drives_only_temporal_says_whether_it_is_lost(world: World) -> None:
    """Passed over for good, a lost workflow's stacks would outlive their time in silence."""
    faults(world, Fault(project="s-b", operation="up", effect="crash", after=1))
    with pytest.raises(Crash):
        await world.up(three(), "4h")
    world.now += timedelta(hours=4)
    with world.settings().open(write=True) as journal:
        (run,) = (row.run for row in journal.runs())
        with journal.acquire("s/dev", run) as lease:
            workflow = ev.Workflow(id="alma/s/dev", address="127.0.0.1:1", namespace="default")
            attached = ev.RunnerAttached(
                process=lease.process, actor=lease.actor, workflow=workflow
            )
            journal.append(run, attached, lease)
    found = due(world)
    assert found is not None
    assert found.newest.served == workflow
    assert (found.busy, found.way) == (False, "rollback")
