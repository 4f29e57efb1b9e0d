from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.integration.docker.world import World


@pytest.fixture
def world(
    docker_daemon: Any,
    provider_plugins: dict[str, str],  # noqa: ARG001 - on PATH
    pulumi_cli: Path,  # noqa: ARG001 - it must be there
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    """The daemon, and names that no other test has. What the test left there is removed."""
    monkeypatch.setenv("DOCKER_HOST", docker_daemon.host)
    with closing(docker_daemon.client()) as client:
        world = World(client, docker_daemon.image, f"docker-{secrets.token_hex(4)}")
        yield world
        world.clear()


@pytest.fixture
def stand_in(provider_plugins: dict[str, str]) -> None:
    """What the official plugin does about lost answers, and what it says, is its own affair."""
    if provider_plugins["docker"] != "stand-in":
        pytest.skip(f"about the stand-in, and Docker is served by {provider_plugins['docker']}")


@pytest.fixture
def between(
    chaos: Callable[[str], Any],
    docker_daemon: Any,
    world: World,  # noqa: ARG001 - which sets DOCKER_HOST first
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    """A proxy in front of the daemon, for the provider and not for `world`."""
    proxy = chaos(docker_daemon.host)
    monkeypatch.setenv("DOCKER_HOST", proxy.url)
    return proxy
