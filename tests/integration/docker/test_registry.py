"""A network and a container in it, written as everybody writes them: up and down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alma import Saga, destroy
from alma.runner import up
from alma.runner.settings import Settings
from tests.integration.docker.world import World
from tests.pulumi.registry.written import written

if TYPE_CHECKING:
    import pytest


async def test_what_is_imported_at_the_top_comes_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program's module is sent by value, the SDK's by name."""
    monkeypatch.setenv("REGISTRY_IMAGE", world.image)
    program, modules = written("docker", "connected")
    saga = Saga(world.name)
    saga.add_stack("connected", program=program)
    settings = Settings(modules=modules)
    name = (await up(saga, settings=settings)).outputs["connected"]["network"]
    assert [one.name for one in world.client.networks.list(names=[name])] == [name]
    await destroy(saga, settings=settings)
    assert world.client.networks.list(names=[name]) == []
