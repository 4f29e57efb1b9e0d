"""A network and a container in it, written as everybody writes them: up and down."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from alma import Saga, destroy
from alma.runner import up
from alma.runner.settings import Settings
from alma.saga.target import load_saga
from tests.integration.docker.world import World

WRITTEN = Path(__file__).parents[2] / "pulumi" / "registry" / "on_docker.py"

pytestmark = pytest.mark.timeout(300)


async def test_what_is_imported_at_the_top_comes_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program's module is sent by value, the SDK's by name."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("REGISTRY_IMAGE", world.image)
    loaded = load_saga(str(WRITTEN))
    (program,) = (step.program for step in loaded.saga.steps if step.name == "connected")
    saga = Saga(world.name)
    saga.add_stack("connected", program=program)
    settings = Settings(modules=loaded.modules)
    name = (await up(saga, settings=settings)).outputs["connected"]["network"]
    assert [one.name for one in world.client.networks.list(names=[name])] == [name]
    await destroy(saga, settings=settings)
    assert world.client.networks.list(names=[name]) == []
