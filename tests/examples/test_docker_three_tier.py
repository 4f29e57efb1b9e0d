from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.examples.conftest import Place
from tests.integration.docker.world import World, hidden, page

pytestmark = pytest.mark.lives


@pytest.fixture
def world(
    docker_daemon: Any,
    provider_plugins: dict[str, str],  # noqa: ARG001 - on PATH
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    """The daemon, for the example and past it."""
    monkeypatch.setenv("DOCKER_HOST", docker_daemon.host)
    monkeypatch.setenv("IMAGE", docker_daemon.image)
    with closing(docker_daemon.client()) as client:
        world = World(client, docker_daemon.image, "docker-three-tier")
        yield world
        world.clear()


def test_docker_three_tier_serves_the_database_through_the_proxy_and_goes_again(
    place: Place, world: World
) -> None:
    """As a script, then taken down by the command line; its password is in no file."""
    ended = place.python("docker_three_tier.py")
    assert ended.returncode == 0, ended.stderr
    outputs = place.alma("status")["outputs"]
    url = outputs["proxy"]["url"]
    assert f"curl {url}" in ended.stdout
    assert page(url) in {"server-0: one row", "server-1: one row"}
    assert outputs["database"]["password"] == "[secret]"
    variables = dict(v.split("=", 1) for v in world.container("database").attrs["Config"]["Env"])
    password = variables["DB_PASSWORD"]
    assert len(password) == 32

    down = place.alma("destroy", "docker_three_tier.py")
    assert down["state"] == "COMPLETED", down["error"]
    assert world.left() == []
    assert set(place.held().values()) == {0}
    assert hidden(password, place.directory)
