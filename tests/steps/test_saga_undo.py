"""A saga as a step is undone as a whole, by the journal alone as well; what it leaves is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from alma import DefinitionError
from alma.runner import destroy, rollback, up
from alma.testing import Fault, JournalFaults
from tests.runner.helpers import ended, settings
from tests.steps.test_saga import FAILS, C, F, X, engine, runs, told, world_wide


async def test_undone_as_a_whole_also_after_it_had_completed(journal: Path) -> None:
    fake = engine(FAILS)
    result = await ended(up(world_wide(), settings=settings(fake, journal)))
    assert result.state is X
    assert told(journal) == {"world/dev": X, "region/eu": X, "region/us": X}
    assert fake.world == {}
    assert result.status.steps["regions"].how == "undone"


async def test_what_was_there_before_is_put_back(journal: Path) -> None:
    """By each run's own rules: a stack that held something is restored, and never destroyed."""
    fake = engine(FAILS)
    fake.existing("net-eu", "eu", "old")
    before = fake.world["net-eu", "eu"]
    result = await ended(up(world_wide(), settings=settings(fake, journal)))
    assert result.state is X
    assert [resource.urn for resource in fake.world["net-eu", "eu"].resources] == [
        resource.urn for resource in before.resources
    ]
    assert set(fake.world) == {("net-eu", "eu")}


async def test_what_a_part_leaves_is_left_of_the_parent(journal: Path) -> None:
    """Named, until a rollback has proven it gone."""
    stuck = [Fault(project="net-eu", operation="destroy", nth=nth, after=0) for nth in (1, 2)]
    fake = engine(FAILS, *stuck)
    result = await ended(up(world_wide(), settings=settings(fake, journal)))
    assert result.state is F
    left = {one.step: one for one in result.leftovers}
    assert set(left) == {"regions", "base"}
    assert (left["regions"].stack, left["regions"].urn != "") == ("net-eu/eu", True)
    assert "region/eu (run " in left["regions"].reason
    assert {key for key in fake.world if fake.world[key].resources} >= {("net-eu", "eu")}
    fake.faults = ()
    result = await ended(rollback(settings=settings(fake, journal)))
    assert result.state is X
    assert fake.world == {}


async def test_rolled_back_from_the_journal_alone(journal: Path) -> None:
    """Each part's definition is in its own first event."""
    fake = engine(FAILS)
    faults = JournalFaults([])
    made = world_wide()
    made.on_failure = "stop"
    result = await ended(up(made, settings=settings(fake, journal, open_journal=faults)))
    assert result.state is F
    result = await ended(rollback(settings=settings(fake, journal)))
    assert result.state is X
    assert told(journal) == {"world/dev": X, "region/eu": X, "region/us": X}
    assert fake.world == {}


async def test_destroy_takes_each_part_down(journal: Path) -> None:
    """Those too that the saga has no more."""
    fake = engine()
    await up(world_wide(), settings=settings(fake, journal))
    made = world_wide(items=("eu",))
    result = await ended(destroy(made, settings=settings(fake, journal)))
    assert result.state is C
    assert not any(state.resources for state in fake.world.values())
    kinds = [(run.kind, run.definition.target) for run in runs(journal)[-2:]]
    assert kinds == [("destroy", "region/eu"), ("destroy", "region/us")]


async def test_a_completed_part_is_not_rolled_back_by_itself(journal: Path) -> None:
    fake = engine()
    await up(world_wide(), settings=settings(fake, journal))
    child = runs(journal)[1].run
    with pytest.raises(DefinitionError, match="is COMPLETED: there is nothing to roll back"):
        await rollback(child, settings=settings(fake, journal))
