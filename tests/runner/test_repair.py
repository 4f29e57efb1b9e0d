"""`up --repair`: what has drifted is brought back and nothing else; undone where that fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alma import AlmaError, DefinitionError, Saga, SagaState
from alma.core.events import RunCreated, StepStarted
from alma.runner import resume, up
from alma.runner.drift import drift
from alma.runner.repair import repair
from alma.testing import Crash, FakeEngine, Fault, JournalFault, JournalFaults, Life
from tests.runner.helpers import ended, history, program, settings, three
from tests.runner.test_drift import lose, verdicts
from tests.steps.test_saga import engine as regions
from tests.steps.test_saga import world_wide


def ups(fake: FakeEngine) -> list[str]:
    return [project for operation, project in fake.calls if operation == "up"]


def wide() -> Saga:
    """`c` depends on `a`, and `b` on nobody."""
    saga = Saga("s")
    a = saga.add_stack("a", program=program)
    saga.add_stack("b", program=program, after=())
    saga.add_stack("c", program=program, inputs={"url": a.output("url")})
    return saga


async def drifted(journal: Path, *lost: str) -> FakeEngine:
    fake = FakeEngine()
    await up(wide(), settings=settings(fake, journal))
    for name in lost:
        lose(fake, name)
    return fake.restarted()


async def test_what_has_drifted_is_brought_back_and_nothing_else(journal: Path) -> None:
    """What depends on it, and is given what it was given before, is left alone."""
    fake = await drifted(journal, "s-a::fake:index:Thing::one")
    result = await repair(wide(), settings=settings(fake, journal))
    assert result is not None
    assert result.state is SagaState.COMPLETED
    assert ups(fake) == ["s-a"]
    assert any(urn.endswith("s-a::fake:index:Thing::one") for urn in fake.reality.things)
    events = [entry.event for entry in history(journal)]
    [created] = [event for event in events if isinstance(event, RunCreated)]
    assert created.repairs == {"a": "it has drifted: 1 delete"}
    assert created.left_out == ("b",)
    [started] = [event for event in events if isinstance(event, StepStarted)]
    assert (started.step, started.why) == ("a", "it has drifted: 1 delete")
    assert set(verdicts(await drift(wide(), settings=settings(fake, journal))).values()) == {"none"}


async def test_where_nothing_has_drifted_no_run_is_begun(journal: Path) -> None:
    fake = await drifted(journal)
    before = history(journal)
    assert await repair(wide(), settings=settings(fake, journal)) is None
    assert history(journal) == before


async def test_a_repair_that_fails_is_undone_and_destroys_nothing_of_before(journal: Path) -> None:
    """Both steps are put back to what their states said, whatever had become of them."""
    fake = await drifted(journal, "s-a::fake:index:Thing::one", "s-b::fake:index:Thing::two")
    was = {key: {*state.resources} for key, state in fake.world.items()}
    fake = fake.restarted([Fault(project="s-b", operation="up", after=0)])
    one_by_one = wide()
    one_by_one.parallelism = 1
    result = await ended(repairing(one_by_one, fake, journal))
    assert result.state is SagaState.COMPENSATED, result.error
    assert {key: {*state.resources} for key, state in fake.world.items()} == was
    assert "destroy" not in {operation for operation, _ in fake.calls}


async def repairing(saga: Saga, fake: FakeEngine, journal: Path) -> Any:
    return await repair(saga, settings=settings(fake, journal))


async def test_a_repair_that_was_cut_off_goes_on_as_one(journal: Path) -> None:
    """The run knows that it looks first: resumed without that it would find nothing to do."""
    fake = await drifted(journal, "s-a::fake:index:Thing::one")
    life = Life()
    fake = fake.restarted(life=life)
    faults = JournalFaults([JournalFault(nth=3, effect="crash_after")], life=life)
    with pytest.raises(Crash):
        await repair(wide(), settings=settings(fake, journal, open_journal=faults))
    fake = fake.restarted()
    result = await resume(saga=wide(), settings=settings(fake, journal))
    assert result.state is SagaState.COMPLETED
    assert any(urn.endswith("s-a::fake:index:Thing::one") for urn in fake.reality.things)


async def test_what_cannot_be_brought_back_is_refused_before_anything_is_begun(
    journal: Path,
) -> None:
    fake = await drifted(journal, "s-a::fake:index:Thing::one")
    silent = fake.restarted([Fault(project="s-b", operation="drift")])
    with pytest.raises(AlmaError, match='Step "b" could not be asked as a whole'):
        await repair(wide(), settings=settings(silent, journal))
    del fake.world["s-b", "dev"]
    with pytest.raises(DefinitionError, match="may be there still"):
        await repair(wide(), settings=settings(fake, journal))
    fake = await drifted(journal, "s-a::fake:index:Thing::one")
    less = Saga("s")
    less.add_stack("b", program=program)
    with pytest.raises(DefinitionError, match="does not have it any more"):
        await repair(less, settings=settings(fake, journal))
    assert ups(fake) == []


async def test_a_saga_within_is_repaired_by_a_run_of_its_own(journal: Path) -> None:
    """That leaves its other steps alone too, as `changed` does: not those with a sealed output."""
    fake = regions()
    await up(world_wide(), settings=settings(fake, journal))
    lose(fake, "app-us::fake:index:Thing::b")
    fake = fake.restarted()
    result = await repair(world_wide(), settings=settings(fake, journal))
    assert result is not None
    assert sorted(ups(fake)) == ["app-eu", "app-us"]  # at once, so in any order
    found = await drift(world_wide(), settings=settings(fake, journal))
    assert found.exit_code == 0


async def test_three_in_a_chain_of_which_the_last_has_drifted(journal: Path) -> None:
    """What it consumes comes from steps that the run leaves out."""
    fake = FakeEngine()
    await up(three(), settings=settings(fake, journal))
    lose(fake, "s-c::fake:index:Thing::one")
    fake = fake.restarted()
    result = await repair(three(), settings=settings(fake, journal))
    assert result is not None
    assert (result.state, ups(fake)) == (SagaState.COMPLETED, ["s-c"])
