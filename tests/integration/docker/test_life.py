"""The three tiers from their first up to their end, on a real daemon."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alma import Secret
from alma.launch import destroy
from tests.integration.docker.world import PASSWORD, World, hidden, page

pytestmark = pytest.mark.timeout(400)


def changes(result: Any) -> dict[str, Any]:
    """By step, what `up` did."""
    return {name: dict(step.changes) for name, step in result.status.steps.items()}


async def test_a_page_comes_through_proxy_and_server_from_the_database(
    world: World, tmp_path: Path, said_to_pulumi: Path
) -> None:
    """Up, up again, a change of one tier, and down; the password is nowhere in plain."""
    result = await world.saga().execute()
    url = result.outputs["proxy"]["url"]
    assert page(url) == "server-0: one row"
    assert isinstance(result.outputs["database"]["password"], Secret)
    first = {container.id for container in world.containers()}

    result = await world.saga().execute()
    assert [set(one) for one in changes(result).values()] == [{"same"}] * 4
    assert {container.id for container in world.containers()} == first

    result = await world.saga(row="another row").execute()
    assert changes(result)["database"]["replace"] == 1
    assert [set(changes(result)[one]) for one in ("network", "servers")] == [{"same"}] * 2
    assert page(url) == "server-0: another row"
    assert len(first & {container.id for container in world.containers()}) == 2

    assert PASSWORD in str(world.container("servers").attrs["Config"]["Env"])
    assert hidden(PASSWORD, tmp_path)
    await destroy(world.saga())
    assert world.left() == []
    said = said_to_pulumi.read_bytes()  # noqa: ASYNC240 - nothing else is under way
    assert b"destroy" in said
    assert PASSWORD.encode() not in said
    assert hidden(PASSWORD, tmp_path)
