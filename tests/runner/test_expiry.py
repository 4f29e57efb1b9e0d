"""When what is brought up expires: what says it, what takes it over, and what it is not said of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from alma import DefinitionError, Saga, SagaState
from alma.core.run import RunStatus
from alma.core.ttl import read_ttl
from alma.journal import open_journal
from alma.journal.expiry import expiring
from alma.journal.left import foreign
from alma.runner import resume, up
from alma.runner.settings import Settings
from alma.testing import Crash, FakeEngine, Fault, JournalFaults
from tests.runner.helpers import ended, program, settings, three

START = datetime(2026, 5, 4, 12, tzinfo=UTC)


class World:
    """One engine, one journal, and a clock that a test sets."""

    def __init__(self, journal: Path, **options: Any) -> None:
        self.now = START
        self.journal = journal
        self.engine = FakeEngine(**options)

    def settings(self, ttl: str | None = None, **more: Any) -> Settings:
        told = settings(self.engine, self.journal, **more)
        clock = JournalFaults(clock=lambda: self.now)
        return replace(told, open_journal=clock, ttl=read_ttl("ttl", ttl) if ttl else None)

    async def up(self, saga: Saga, ttl: str | None = None, **more: Any) -> Any:
        return await ended(up(saga, settings=self.settings(ttl, **more)))

    def standing(self, target: str = "s/dev") -> RunStatus | None:
        with open_journal(self.journal, write=False) as journal:
            found = expiring(journal, target)
            return found.run if found else None

    def expires(self) -> datetime | None:
        found = self.standing()
        return found.expires_at if found else None


@pytest.fixture
def world(journal: Path) -> World:
    return World(journal)


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("4h", timedelta(hours=4)),
        ("1d12h", timedelta(hours=36)),
        (" 2W ", timedelta(weeks=2)),
        (timedelta(minutes=5), timedelta(minutes=5)),
        ("none", "none"),
    ],
)
def test_how_a_time_is_written(said: Any, found: Any) -> None:
    assert Saga("s", ttl=said).ttl == found


@pytest.mark.parametrize(
    "said",
    ["", "4", "4 hours", 5, True, "-4h", "0s", "20y", "99999999999999d", timedelta(0), "\u0664h"],
)
def test_what_is_no_time_is_refused_where_it_is_written(said: Any) -> None:
    with pytest.raises(DefinitionError, match='Saga "s": ttl') as refused:
        Saga("s", ttl=said)
    assert '"4h"' in refused.value.hint


async def test_it_counts_from_the_beginning_of_its_run_and_the_command_goes_first(
    world: World,
) -> None:
    await world.up(three(ttl="4h"))
    assert world.expires() == START + timedelta(hours=4)
    world.now += timedelta(hours=1)
    await world.up(three(ttl="4h"), "30m")
    assert world.expires() == START + timedelta(hours=1, minutes=30)


async def test_one_without_keeps_it_and_says_whose_word_it_is(world: World) -> None:
    first = await world.up(three(), "4h")
    world.now += timedelta(hours=1)
    for _ in range(2):
        later = await world.up(three())
        assert later.status.expires_at == START + timedelta(hours=4)
        assert later.status.expiry.of == first.run_id
    lifted = await world.up(three(), "none")
    assert lifted.status.expires_at is None
    assert world.standing() is None
    assert (await world.up(three())).status.expires_at is None


async def test_over_what_has_expired_one_must_say_how_long_it_stays(world: World) -> None:
    """The next reap would take down what it makes."""
    await world.up(three(), "4h")
    world.now += timedelta(hours=4)
    calls = len(world.engine.calls)
    with pytest.raises(DefinitionError, match="expired at 2026-05-04 16:00:00 UTC") as refused:
        await up(three(), settings=world.settings())
    assert "--ttl none" in refused.value.hint
    assert "up" not in [call[0] for call in world.engine.calls[calls:]]
    await world.up(three(), "1h")
    assert world.expires() == START + timedelta(hours=5)


async def test_what_a_run_says_is_undone_with_it(world: World) -> None:
    first = await world.up(three(), "4h")
    world.engine = world.engine.restarted([Fault(project="s-c", operation="up", after=0)])
    failed = await world.up(three(), "30m")
    assert failed.state is SagaState.COMPENSATED
    found = world.standing()
    assert found is not None
    assert (found.run, found.expires_at) == (first.run_id, START + timedelta(hours=4))


async def test_a_first_run_that_is_undone_leaves_nothing_to_expire(world: World) -> None:
    world.engine = world.engine.restarted([Fault(project="s-c", operation="up", after=0)])
    assert (await world.up(three(), "30m")).state is SagaState.COMPENSATED
    assert world.standing() is None


async def test_an_up_that_goes_on_with_a_run_says_it_anew_where_it_says_it(world: World) -> None:
    for ttl in (None, "4h"):
        faults = [Fault(project="s-b", operation="up", effect="crash", after=0)]
        world.engine = world.engine.restarted(faults)
        with pytest.raises(Crash):
            await world.up(three(), "4h")
        world.engine = world.engine.restarted()
        before = world.expires()
        world.now += timedelta(hours=1)
        gone_on = await world.up(three(), ttl)
        assert gone_on.state is SagaState.COMPLETED
        assert gone_on.status.expires_at == (world.now + timedelta(hours=4) if ttl else before)


async def test_a_resume_keeps_it(world: World) -> None:
    stop = Fault(project="s-b", operation="up", after=0)
    world.engine = world.engine.restarted([stop])
    failed = await world.up(three(on_failure="stop"), "4h")
    assert failed.state is SagaState.FAILED
    world.now += timedelta(hours=1)
    again = await ended(resume(saga=three(on_failure="stop"), settings=world.settings()))
    assert again.state is SagaState.COMPLETED
    assert again.status.expires_at == START + timedelta(hours=4)


async def test_of_what_was_there_before_the_saga_it_is_not_said_unawares(world: World) -> None:
    world.engine.existing("s-b", "dev", "old")
    with pytest.raises(DefinitionError, match='Step "b" of s/dev has 1 resource that no run'):
        await up(three(), settings=world.settings("4h"))
    assert world.engine.world[("s-b", "dev")].resources
    assert [call for call in world.engine.calls if call[0] == "up"] == []
    await world.up(three(), "4h", accept_existing=True)
    with open_journal(world.journal, write=False) as journal:
        assert foreign(journal, "s/dev") == []
    await world.up(three(), "5h")  # It was said once.
    assert world.expires() == START + timedelta(hours=5)


async def test_nor_where_a_run_without_a_ttl_had_taken_it_up_before(world: World) -> None:
    world.engine.existing("s-b", "dev", "old")
    await world.up(three())
    with pytest.raises(
        DefinitionError, match='Step "b" of s/dev has 1 resource from before the saga'
    ):
        await up(three(), settings=world.settings("4h"))


async def test_only_the_outer_saga_expires(world: World) -> None:
    def outer() -> Saga:
        saga = Saga("outer")
        inner = Saga("inner", ttl="1h")
        inner.add_stack("a", program=program)
        saga.add_saga("part", inner)
        return saga

    await world.up(outer(), "4h")
    found = world.standing("outer/dev")
    assert found is not None
    assert found.expires_at == START + timedelta(hours=4)
    assert world.standing("inner/dev") is None


async def test_an_inner_saga_over_what_was_there_is_refused_too(world: World) -> None:
    world.engine.existing("inner-a", "dev", "old")
    saga, inner = Saga("outer"), Saga("inner")
    inner.add_stack("a", program=program)
    saga.add_saga("part", inner)
    refused = await world.up(saga, "4h")
    assert refused.state is SagaState.COMPENSATED
    assert "accept-existing" in str(refused.error)
    assert [one.id for one in world.engine.world[("inner-a", "dev")].resources] == ["inner-a-old"]
