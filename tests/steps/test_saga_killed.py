"""A saga as a step whose runner is killed: who goes on begins no second run of a part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alma.runner import resume, rollback, up
from alma.runner.intervene import abandon
from alma.testing import Crash, Fault, JournalFault, JournalFaults
from tests.runner.helpers import ended, settings
from tests.steps.test_saga import FAILS, C, X, engine, runs, told, world_wide


def dies(project: str, operation: Any, effect: Any = "crash", after: int = 1) -> Fault:
    return Fault(project=project, operation=operation, effect=effect, after=after)


@pytest.mark.parametrize("back", [False, True], ids=["resume", "rollback"])
@pytest.mark.parametrize(
    "fault",
    [
        dies("net-eu", "up", "crash", 0),
        dies("app-eu", "up"),
        dies("app-eu", "up", "drain"),
        dies("app-us", "up"),
        dies("world-dns", "up"),
    ],
    ids=lambda fault: f"{fault.project} {fault.effect}",
)
async def test_killed_while_a_part_runs(journal: Path, fault: Fault, *, back: bool) -> None:
    """Whoever goes on goes on with the part first, or undoes it, and begins no second one."""
    fake = engine(fault)
    made = world_wide(at_once=1)
    with pytest.raises(Crash):
        await up(made, settings=settings(fake, journal))
    again = fake.restarted()
    if back:
        result = await ended(rollback(settings=settings(again, journal)))
        assert result.state is X
        assert again.world == {}
    else:
        result = await ended(resume(saga=world_wide(at_once=1), settings=settings(again, journal)))
        assert result.state is C
        assert set(told(journal).values()) == {C}
    targets = [run.definition.target for run in runs(journal)]
    assert len(targets) == len(set(targets))


@pytest.mark.parametrize("effect", ["crash_before", "crash_after"])
@pytest.mark.parametrize("nth", [*range(6, 12)])
async def test_killed_around_the_beginning_of_a_part(journal: Path, nth: int, effect: Any) -> None:
    """A run that was named and never began is none; one that has begun is gone on with."""
    fake = engine()
    faults = JournalFaults([JournalFault(nth=nth, effect=effect)])
    own = settings(fake.restarted(life=faults.life), journal, open_journal=faults)
    with pytest.raises(Crash):
        await up(world_wide(at_once=1), settings=own)
    result = await ended(
        resume(saga=world_wide(at_once=1), settings=settings(fake.restarted(), journal))
    )
    assert result.state is C
    assert told(journal) == {"world/dev": C, "region/eu": C, "region/us": C}


@pytest.mark.parametrize("project", ["app-eu", "net-us"])
async def test_killed_in_the_undo(journal: Path, project: str) -> None:
    fake = engine(FAILS, dies(project, "destroy", "crash", 0))
    with pytest.raises(Crash):
        await up(world_wide(), settings=settings(fake, journal))
    again = fake.restarted()
    result = await ended(rollback(settings=settings(again, journal)))
    assert result.state is X
    assert again.world == {}


async def test_abandoned_its_parts_are_named(journal: Path) -> None:
    fake = engine(dies("app-us", "up"))
    with pytest.raises(Crash):
        await up(world_wide(at_once=1), settings=settings(fake, journal))
    parent = runs(journal)[0].run
    result = await abandon(parent, reason="moved", settings=settings(fake.restarted(), journal))
    stacks = {left.stack for left in result.leftovers if left.step == "regions"}
    assert stacks - {""} == {"net-eu/eu", "app-eu/eu", "net-us/us", "app-us/us"}
