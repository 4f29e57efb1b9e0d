"""The stand-in for the provider's plugin, on a real daemon."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pulumi_docker as docker
import pytest
from docker.errors import APIError
from pulumi import Output

from tests.integration.docker.world import World
from tests.providers.base import UNKNOWN
from tests.providers.docker import errors
from tests.providers.docker.container import Container
from tests.providers.docker.durations import nanoseconds
from tests.providers.docker.network import Network
from tests.providers.docker.volume import Volume
from tests.pulumi.conftest import Place, directory, place  # noqa: F401 - fixtures

pytestmark = pytest.mark.usefixtures("stand_in")

CANARY = "canary-0815-nested"
WAIT_FOR_TERM = ["sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait"]


def test_what_was_made_is_read_changed_in_place_and_deleted_once_or_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container in a network over a volume; `restart` changes without another container."""
    api = world.client.api
    labels = [{"label": "pulumi.project", "value": f"{world.name}-x"}]
    network = Network().create(api, {"name": f"{world.name}-n", "labels": labels})
    volume = Volume().create(api, {"name": f"{world.name}-v", "labels": labels})
    inputs = {
        **Container.defaults,
        "name": f"{world.name}-c",
        "image": world.image,
        "command": WAIT_FOR_TERM,
        "envs": ["A=1", "B=2"],
        "labels": labels,
        "networksAdvanced": [{"name": f"{world.name}-n", "aliases": ["here"]}],
        "volumes": [{"volumeName": f"{world.name}-v", "containerPath": "/data"}],
        "ports": [{"internal": 80, "ip": "127.0.0.1"}],
        "uploads": [{"file": "/data/greeting", "content": "hello"}],
        "destroyGraceSeconds": 30,
    }
    assert Container().planned(inputs)["ports"][0]["external"] == UNKNOWN
    made = Container().create(api, inputs)
    state = {**inputs, **made.outputs}
    assert state["ports"][0]["external"] > 0
    assert state["networkDatas"][0]["networkName"] == f"{world.name}-n"
    assert world.container("x").exec_run(["cat", "/data/greeting"]).output == b"hello"
    with pytest.raises(APIError, match="is already in use"):
        Container().create(api, inputs)

    assert Container().read(api, made.id, state) == made.outputs
    changed = Container().update(api, made.id, state, {**inputs, "restart": "always"})
    assert changed["restart"] == "always"
    monkeypatch.setattr(errors, "IN_USE", 0.2)
    with pytest.raises(APIError, match="in use"):
        Volume().delete(api, volume.id, {})
    for _ in range(2):
        Container().delete(api, made.id, state)
        Volume().delete(api, volume.id, {})
        Network().delete(api, network.id, {})
    assert Container().read(api, made.id, state) is None
    assert world.left() == []


def server(world: World, *, health: list[str] | None = None) -> Callable[[], None]:
    """A program with one container, one of whose variables is secret."""
    image, project = world.image, f"{world.name}-x"

    def program() -> None:
        docker.Container(
            "server",
            image=image,
            command=WAIT_FOR_TERM,
            envs=["A=1", Output.secret(f"B={CANARY}")],
            healthcheck={"tests": health, "interval": "100ms", "retries": 2} if health else None,
            wait=health is not None,
            labels=[{"label": "pulumi.project", "value": project}],
        )

    return program


async def test_a_container_that_is_not_healthy_is_kept_and_then_replaced(
    world: World,
    place: Place,  # noqa: F811 - the fixture
) -> None:
    """Nested secrets stay secret in the state; what is gone already is deleted with success."""
    sick = server(world, health=["CMD-SHELL", "echo fever; exit 1"])
    result = await place.up(sick)
    assert result.failure is not None
    assert result.failure.message.endswith("the container is unhealthy: fever")
    first = world.container("x").id
    assert f"B={CANARY}" in world.container("x").attrs["Config"]["Env"]
    held = await place.engine.inspect(place.ref())
    assert first in {one.id for one in held.resources}

    result = await place.up(server(world))
    assert result.failure is None
    assert world.container("x").id != first
    assert [f for f in place.root.rglob("*.json") if CANARY in f.read_text()] == []

    world.container("x").remove(force=True)
    assert (await place.destroy()).failure is None
    assert (await place.engine.inspect(place.ref())).resources == ()


@pytest.mark.parametrize(
    ("program", "told"),
    [
        (
            lambda: docker.Tag("t", source_image="a", target_image="b"),
            "has no docker:index/tag:Tag",
        ),
        (
            lambda: docker.Container("c", image="a", gpus="all"),
            "property gpus value {all} has a problem",
        ),
    ],
)
async def test_what_it_does_not_know_is_refused_by_name(
    world: World,  # noqa: ARG001 - its provider
    place: Place,  # noqa: F811 - the fixture
    program: Callable[[], Any],
    told: str,
) -> None:
    result = await place.up(program)
    assert result.failure is not None
    assert told in result.failure.message


@pytest.mark.parametrize(
    ("text", "count"), [("500ms", 5e8), ("2s", 2e9), ("1m30s", 9e10), ("", 0), (None, 0)]
)
def test_durations_are_those_of_go(text: str | None, count: float) -> None:
    assert nanoseconds(text) == count


def test_what_is_no_duration_is_refused() -> None:
    with pytest.raises(ValueError, match="no duration: 'soon'"):
        nanoseconds("soon")
