"""What was there before a run, and was taken over by it, with the real engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pulumi import ResourceOptions
from pulumi.dynamic import CreateResult, Resource, ResourceProvider

from alma import Saga, SagaState, destroy, rollback
from alma.runner import up
from alma.runner.preview import preview
from tests.restore.conftest import Lab
from tests.restore.test_saga import ended
from tests.restore.things import Thing

pytestmark = pytest.mark.lives


class Adopting(ResourceProvider):
    """As S3 in us-east-1: what is there already is made, too."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        path = Path(props["world"], props["file"])
        path.write_text("made or taken over")
        return CreateResult(str(path), props)

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        Path(_id).unlink()


class Bucket(Resource):
    """A file."""

    def __init__(self, world: Path, name: str) -> None:
        super().__init__(Adopting(), name, {"world": str(world), "file": name})


def buckets(world: Path, *names: str) -> Callable[[], None]:
    """A program that makes these."""

    def program() -> None:
        for name in names:
            Bucket(world, name)

    return program


def broken() -> None:
    raise RuntimeError("asked to")


def saga_of(program: Callable[[], Any], **options: Any) -> Saga:
    """A stack, and an action that fails."""
    saga = Saga("shop")
    saga.add_stack("a", program=program, **options)
    saga.add_step(action=broken, compensation="none")
    return saga


async def test_what_another_stack_holds_stays_there(lab: Lab) -> None:
    """The rest is destroyed, the record is gone, and it is named; its owner can destroy it."""
    owner = Saga("owner")
    owner.add_stack("a", program=buckets(lab.world, "logs"))
    assert (await up(owner)).state is SagaState.COMPLETED

    result = await ended(up(saga_of(buckets(lab.world, "logs", "own"))))
    assert result.state is SagaState.FAILED
    [left] = result.leftovers
    assert left.id == str(lab.world / "logs")
    assert left.reason == (
        "it was there before this run (stack owner-a/dev holds it): kept, though it may be changed"
    )
    assert [path.name for path in lab.world.iterdir()] == ["logs"]
    assert not (await lab.place.engine.inspect(lab.place.ref(project="shop-a"))).exists
    again = await ended(rollback())
    assert [one.id for one in again.leftovers] == [left.id]

    await destroy(owner)
    assert not any(lab.world.iterdir())


async def test_what_was_seen_before_the_first_create_stays_in_a_stack_that_is_put_back(
    lab: Lab,
) -> None:
    """`existed` is asked once, before anything is made; the restore lets go of what it named."""
    kept = Saga("shop")
    kept.add_stack("a", program=buckets(lab.world, "old"))
    await up(kept)
    (lab.world / "found").touch()

    def existed() -> list[str]:
        return [str(path) for path in lab.world.iterdir()]

    program = buckets(lab.world, "old", "found", "own")
    result = await ended(up(saga_of(program, existed=existed)))
    assert result.state is SagaState.FAILED
    assert [left.id for left in result.leftovers] == [str(lab.world / "found")]
    assert "existed= has seen it" in result.leftovers[0].reason
    assert sorted(path.name for path in lab.world.iterdir()) == ["found", "old"]
    now = await lab.place.engine.inspect(lab.place.ref(project="shop-a"))
    assert [one.id for one in now.resources if one.type.startswith("pulumi-python")] == [
        str(lab.world / "old")
    ]


async def test_what_a_program_imports_stays(lab: Lab) -> None:
    """It is not this run's, whoever made it."""
    await lab.up(lambda: Thing("there", size=1))
    [identity] = lab.things()
    title = lab.things()[identity]["inputs"]["title"]

    def program() -> None:
        Thing("there", ResourceOptions(import_=identity), size=1, title=title)
        Thing("own", size=2)

    (foreseen, _) = (await preview(saga_of(program))).steps
    (risk,) = foreseen.foreseen.at_risk
    assert (risk.id, "its program imports it" in risk.reason) == (identity, True)
    result = await ended(up(saga_of(program)))
    assert result.error is not None
    assert "asked to" in result.error.message
    assert [left.id for left in result.leftovers] == [identity]
    assert "its program imports it" in result.leftovers[0].reason
    assert list(lab.things()) == [identity]
