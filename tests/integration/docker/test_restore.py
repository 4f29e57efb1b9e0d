"""Containers that were there before are put back when a later run fails."""

from __future__ import annotations

from typing import Any

import pytest

from alma import SagaState
from tests.integration.docker.test_failures import failed
from tests.integration.docker.world import World

pytestmark = pytest.mark.timeout(400)


async def test_an_update_that_fails_puts_the_containers_back_as_they_were(world: World) -> None:
    """The database gets another row, then the new servers end at once."""
    await world.saga(upto="servers").execute()
    assert "ROW=one row" in world.container("database").attrs["Config"]["Env"]
    before = configured(world)

    bad = {"command": ["sh", "-c", "echo no heart; exit 7"]}
    saga = world.saga(upto="servers", row="another row", bad=bad)
    result = await failed(saga.execute())
    assert result.failed_step == "servers"
    assert result.state is SagaState.COMPENSATED, result.leftovers
    assert configured(world) == before
    assert [one.status for one in world.containers()] == ["running"] * 2


def configured(world: World) -> dict[str, Any]:
    """By project, what its container was made with; Docker's id of it is its host's name."""
    return {
        one.labels["pulumi.project"]: {**one.attrs["Config"], "Hostname": ""}
        for one in world.containers()
    }
