"""Drift of sagas within a saga: each by its own steps, and nothing of them left out."""

from __future__ import annotations

from pathlib import Path

from alma import Saga
from alma.runner import destroy, up
from alma.runner.drift import drift, drift_of_run
from alma.testing import FakeEngine
from tests.runner.helpers import ended, program, settings
from tests.runner.test_drift import lose, verdicts
from tests.steps.test_saga import engine as regions
from tests.steps.test_saga import world_wide


async def test_sagas_within_are_looked_at_by_their_own_steps(journal: Path) -> None:
    """With the file and without it."""
    fake = regions()
    await up(world_wide(), settings=settings(fake, journal))
    lose(fake, "app-us::fake:index:Thing::b")
    wanted = {
        "base": "none",
        "regions/eu/net": "none",
        "regions/eu/app": "none",
        "regions/us/net": "none",
        "regions/us/app": "drifted",
        "dns": "none",
    }
    found = await drift(world_wide(), settings=settings(fake, journal))
    assert verdicts(found) == wanted
    [parent] = {step.run for step in found.steps if step.step == "base"}
    assert verdicts(await drift_of_run(parent, settings(fake, journal))) == wanted


async def test_nothing_within_is_left_out(journal: Path) -> None:
    """After a run that was undone, and of what the inner saga's file has no more."""

    def outer(*inner: str, fails: bool = False) -> Saga:
        part, saga = Saga("part"), Saga("outer")
        for name in inner:
            part.add_stack(name, program=program)
        whole = saga.add_saga("part", part)
        saga.add_step(lambda: 1 / 0 if fails else None, "none", name="last", after=[whole])
        return saga

    fake = FakeEngine()
    await up(outer("a", "b"), settings=settings(fake, journal))
    failed = await ended(up(outer("a", "b", fails=True), settings=settings(fake, journal)))
    assert failed.state.name == "COMPENSATED"
    wanted = {"part/a": "none", "part/b": "none", "last": "unasked"}
    found = await drift(outer("a", "b"), settings=settings(fake, journal))
    assert verdicts(found) == wanted
    fake.reality.things.clear()
    found = await drift(outer("a"), settings=settings(fake, journal))
    assert verdicts(found) == wanted | {"part/a": "drifted", "part/b": "drifted"}


async def test_an_item_that_its_saga_has_no_more_is_still_looked_at(journal: Path) -> None:
    """Nobody has taken it down."""
    fake = regions()
    await up(world_wide(), settings=settings(fake, journal))
    await up(world_wide(items=["eu"]), settings=settings(fake, journal))
    lose(fake, "app-us::fake:index:Thing::b")
    found = await drift(world_wide(items=["eu"]), settings=settings(fake, journal))
    assert verdicts(found)["regions/us/net"] == "none"
    assert verdicts(found)["regions/us/app"] == "drifted"
    await destroy(world_wide(items=["eu"]), settings=settings(fake, journal))
    found = await drift(world_wide(items=["eu"]), settings=settings(fake, journal))
    assert set(verdicts(found).values()) == {"absent"}
