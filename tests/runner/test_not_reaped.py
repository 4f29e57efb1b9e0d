"""What `reap` leaves alone: what is at work, was there before, or was said to stay longer."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from alma import DefinitionError, Saga, SagaState
from alma.core import events as ev
from alma.errors import RunnerBusyError
from alma.journal import open_journal
from alma.journal.reading import load_run
from alma.runner import resume, up
from alma.runner.extend import Until, extend
from alma.runner.reap import NotDueError, find_due, reap
from alma.testing import Crash, FakeEngine, Fault
from tests.runner.helpers import ended, history, three
from tests.runner.test_expiry import START, World
from tests.runner.test_reap import due, faults, made, turn


@pytest.fixture
def world(journal: Path) -> World:
    return World(journal)


def extended(world: World, until: Until, run: str = "latest") -> Any:
    return extend(run, until, reason="the demo is on Friday", settings=world.settings())


async def test_what_somebody_is_at_work_on_is_left_alone(world: World) -> None:
    """A run under way, and another reap."""
    await world.up(three(), "4h")
    world.now += timedelta(hours=4)
    before = due(world)
    assert before is not None
    with world.settings().open(write=True) as journal, journal.acquire("s/dev", "another"):
        found = due(world)
        assert found is not None
        assert (found.busy, found.way) == (True, None)
        with pytest.raises(RunnerBusyError):
            await reap(before, None, world.settings())
    assert len(world.engine.reality.things) == 6


async def test_who_comes_second_takes_nothing_down(world: World) -> None:
    """It was looked at, then somebody has reaped it, or has brought it up again."""
    await world.up(three(), "4h")
    world.now += timedelta(hours=4)
    before = due(world)
    assert before is not None
    await turn(world)
    with pytest.raises(NotDueError):
        await reap(before, None, world.settings())
    await world.up(three(), "4h")
    with pytest.raises(NotDueError):
        await reap(before, None, world.settings())
    assert len(world.engine.reality.things) == 6


async def test_nor_does_it_undo_what_was_extended_since_it_was_looked_at(world: World) -> None:
    faults(world, Fault(project="s-c", operation="up", after=1))
    await world.up(three(on_failure="stop"), "4h")
    world.now += timedelta(hours=4)
    faults(world)
    before = due(world)
    assert before is not None
    assert before.way == "rollback"
    extended(world, Until(by=timedelta(hours=2)))
    with pytest.raises(NotDueError):
        await reap(before, three(on_failure="stop"), world.settings())
    assert world.engine.reality.things
    world.now += timedelta(hours=2)
    assert (await turn(world)).state is SagaState.COMPENSATED
    assert made(world) == set()


@pytest.mark.parametrize("undo", [True, False])
async def test_what_a_command_has_found_there_is_not_undone(
    world: World, tmp_path: Path, *, undo: bool
) -> None:
    """Its check has seen it before the first run; where nothing undoes it, it is in no danger."""
    made_by_hand = tmp_path / "made"
    made_by_hand.touch()

    def saga() -> Saga:
        saga = Saga("s")
        saga.add_command(
            "file",
            do=["touch", str(made_by_hand)],
            undo=["rm", str(made_by_hand)] if undo else "none",
            check=["test", "-e", str(made_by_hand)],
        )
        return saga

    await world.up(saga(), "4h")
    await world.up(saga())
    world.now += timedelta(hours=4)
    found = due(world)
    assert found is not None
    assert found.way == (None if undo else "destroy")
    if undo:
        assert 'step "file" of s/dev has what was there before the saga' in found.why
        await world.up(saga(), "4h", accept_existing=True)
        world.now += timedelta(hours=4)
    assert (await turn(world, saga())).state is SagaState.COMPLETED
    assert made_by_hand.exists() is not undo


async def test_what_was_there_before_the_saga_is_not_destroyed(world: World) -> None:
    """Found by the run alone: by then it had said that all expires."""
    world.engine.existing("s-b", "dev", "old")
    await world.up(three())
    run = await world.up(three(), "none")
    with (
        world.settings().open(write=True) as journal,
        journal.acquire("s/dev", run.run_id) as lease,
    ):
        said = ev.RunExtended(
            expiry=ev.Expiry(at="2026-05-04T13:00:00+00:00"), actor="me@here", reason="test"
        )
        journal.append(run.run_id, said, lease)
    world.now += timedelta(hours=4)
    found = due(world)
    assert found is not None
    assert found.way is None
    assert 'step "b" of s/dev has 1 resource from before the saga' in found.why
    assert "--accept-existing" in found.hint


async def test_nor_is_what_its_program_has_imported_until_somebody_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the run itself finds that: it says so at its end, and `reap` leaves it."""
    create = FakeEngine.up

    async def imports(engine: FakeEngine, *asked: Any) -> Any:
        done = await create(engine, *asked)
        first, *others = done.resources
        return replace(done, resources=(replace(first, op=ev.IMPORTED), *others))

    with monkeypatch.context() as patched:
        patched.setattr(FakeEngine, "up", imports)
        await world.up(three(), "4h")
    world.now += timedelta(hours=4)
    found = due(world)
    assert found is not None
    assert found.way is None
    assert 'step "a" of s/dev has 1 resource that it has imported' in found.why
    with pytest.raises(DefinitionError, match="1 resource that it has imported"):
        await up(three(), settings=world.settings("4h"))
    await world.up(three(), "4h", accept_existing=True)
    world.now += timedelta(hours=4)
    assert (await turn(world)).state is SagaState.COMPLETED


# -- said anew -----------------------------------------------------------------------------------


async def test_extended_it_is_not_due(world: World) -> None:
    run = await world.up(three(), "4h")
    assert extended(world, Until(by=timedelta(hours=2))).expires_at == START + timedelta(hours=6)
    world.now += timedelta(hours=5)
    assert due(world) is None
    assert extended(world, Until(ttl=timedelta(hours=3))).expires_at == START + timedelta(hours=8)
    world.now += timedelta(hours=4)
    assert due(world) is not None
    at = START + timedelta(days=2)
    assert extended(world, Until(at=at)).expires_at == at
    assert due(world) is None
    said = history(world.journal)[-1].event
    assert isinstance(said, ev.RunExtended)
    assert said.reason == "the demo is on Friday"
    with open_journal(world.journal, write=False) as journal:
        assert load_run(journal, run.run_id).state is SagaState.COMPLETED
    assert extended(world, Until(ttl="none")).expires_at is None
    world.now += timedelta(days=9)
    assert due(world) is None


async def test_it_goes_to_the_run_that_has_said_it(world: World) -> None:
    """`latest` was undone; an older one is not meant any more."""
    old = await world.up(three(), "3h")
    first = await world.up(three(), "4h")
    faults(world, Fault(project="s-c", operation="up", after=0))
    await world.up(three(), "30m")
    assert extended(world, Until(by=timedelta(hours=1))).run == first.run_id
    with pytest.raises(DefinitionError, match="is not the one that says when"):
        extended(world, Until(by=timedelta(hours=1)), old.run_id)


async def test_what_extends_nothing_is_refused(world: World) -> None:
    await world.up(three())
    with pytest.raises(DefinitionError, match="has left expires"):
        extended(world, Until(ttl=timedelta(hours=1)))
    await world.up(three(), "4h")
    with pytest.raises(DefinitionError, match="is over: nothing would be extended"):
        extended(world, Until(at=START))
    with pytest.raises(DefinitionError, match="A reason is needed"):
        extend("latest", Until(ttl="none"), reason=" ", settings=world.settings())
    world.now += timedelta(hours=4)
    faults(world, Fault(project="s-b", operation="destroy", after=0))
    await turn(world)
    with pytest.raises(DefinitionError, match="has begun to take s/dev down, and is FAILED"):
        extended(world, Until(ttl=timedelta(hours=1)))


async def test_an_interrupted_run_goes_on_after_it_was_extended(world: World) -> None:
    faults(world, Fault(project="s-b", operation="up", effect="crash", after=1))
    with pytest.raises(Crash):
        await world.up(three(), "4h")
    faults(world)
    world.now += timedelta(hours=5)
    extended(world, Until(ttl=timedelta(hours=1)))
    assert due(world) is None
    done = await ended(resume(saga=three(), settings=world.settings()))
    assert done.state is SagaState.COMPLETED
    assert done.status.expires_at == START + timedelta(hours=6)
    again = await world.up(three())
    assert again.status.expires_at == START + timedelta(hours=6)


async def test_its_clock_is_the_journal_s(world: World) -> None:
    """A server's own, where it has one: whoever reaps with a wrong clock takes nothing early."""
    await world.up(three(), "4h")
    told = world.settings()
    server = START + timedelta(hours=1)

    def opened(where: Any, /, *, write: bool) -> Any:
        journal = told.open_journal(where, write=write)
        journal._store.now = lambda: server  # type: ignore[method-assign]
        return journal

    world.now += timedelta(days=30)
    with replace(told, open_journal=opened).open(write=False) as journal:
        assert find_due(journal, "s/dev") is None
    server = START + timedelta(hours=4)
    with replace(told, open_journal=opened).open(write=False) as journal:
        assert find_due(journal, "s/dev") is not None
