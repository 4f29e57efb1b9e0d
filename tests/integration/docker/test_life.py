"""The three tiers from their first up to a change that fails, on a real daemon."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alma import SagaState, Secret
from tests.integration.docker.test_failures import failed
from tests.integration.docker.world import ENDS, PASSWORD, World, hidden, page


async def test_a_page_comes_through_proxy_and_server_from_the_database(
    world: World, tmp_path: Path, said_to_pulumi: Path
) -> None:
    """Up, up again, a change, and one that fails and is put back; the password is nowhere."""
    result = await world.saga(serving=True).execute()
    url = result.outputs["proxy"]["url"]
    assert page(url) == "server-0: one row"
    assert isinstance(result.outputs["database"]["password"], Secret)
    first = {container.id for container in world.containers()}

    result = await world.saga(serving=True).execute()
    assert [set(one) for one in changes(result).values()] == [{"same"}] * 4
    assert {container.id for container in world.containers()} == first

    result = await world.saga(upto="servers", row="another row", serving=True).execute()
    assert changes(result)["database"]["replace"] == 1
    assert [set(changes(result)[one]) for one in ("network", "servers")] == [{"same"}] * 2
    assert page(url) == "server-0: another row"
    before = configured(world)

    saga = world.saga(upto="servers", row="a third row", bad=ENDS, serving=True)
    result = await failed(saga.execute())
    assert (result.failed_step, result.state) == ("servers", SagaState.COMPENSATED)
    assert changes(result)["database"]["replace"] == 1
    assert page(url) == "server-0: another row"
    assert configured(world) == before
    assert len(world.containers()) == 3

    assert hidden(PASSWORD, tmp_path, said_to_pulumi)


def changes(result: Any) -> dict[str, Any]:
    """By step, what `up` did."""
    return {name: dict(step.changes) for name, step in result.status.steps.items()}


def configured(world: World) -> dict[str, Any]:
    """By project, what its container was made with; Docker's id of it is its host's name."""
    return {
        one.labels["pulumi.project"]: {**one.attrs["Config"], "Hostname": ""}
        for one in world.containers()
    }
