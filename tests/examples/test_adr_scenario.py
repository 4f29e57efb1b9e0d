from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.examples.conftest import Place
from tests.integration.docker.world import World
from tests.services.localstack import free_port

pytestmark = pytest.mark.lives


@pytest.fixture
def world(
    docker_daemon: Any,
    provider_plugins: dict[str, str],  # noqa: ARG001 - on PATH
    tofu: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    """The daemon, for the example and past it."""
    monkeypatch.setenv("DOCKER_HOST", docker_daemon.host)
    monkeypatch.setenv("ALMA_TERRAFORM", str(tofu))
    monkeypatch.setenv("IMAGE", docker_daemon.image)
    monkeypatch.setenv("BALANCER_PORT", str(free_port()))
    monkeypatch.setenv("DNS_PORT", str(free_port()))
    with closing(docker_daemon.client()) as client:
        world = World(client, docker_daemon.image, "adr-scenario")
        yield world
        world.clear()


def left(place: Place, world: World) -> list[str]:
    """What is there at each of the four systems."""
    here = place.directory / "adr-scenario"
    state = json.loads((here / "database" / "terraform.tfstate").read_text())
    names = here / "names.json"
    records = json.loads(names.read_text())["records"] if names.exists() else {}
    balancers = [
        " ".join(found.info["cmdline"])
        for found in psutil.process_iter(["cmdline"])
        if "stacks.local.proxy" in (found.info["cmdline"] or [])
        and found.cwd() == str(here / "balancer")
    ]
    files = [path.name for path in here.iterdir() if path.name in ("shop.db", "balancer")]
    return [*files, *state["resources"], *world.left(), *balancers, *records]


def test_adr_scenario_fails_at_its_third_step_and_leaves_nothing(
    place: Place, world: World
) -> None:
    """Looked at each system itself; the table says what was undone."""
    ended = place.python("adr_scenario.py")
    assert ended.returncode == 4, ended.stderr
    rows = [line.split() for line in ended.stdout.splitlines()]
    states = {row[0]: row for row in rows}
    for name in ("database", "servers", "balancer"):
        assert "COMPENSATED" in states[name]
    assert "PENDING" in states["dns"]
    assert rows[-1] == ["COMPENSATED;", "left", "behind:", "0"]
    assert "reach a server through it" in ended.stderr
    assert left(place, world) == []
    assert place.held() == {}


def test_adr_scenario_can_succeed_and_is_taken_down(place: Place, world: World) -> None:
    """The name leads to the balancer, and the balancer to a server."""
    ended = place.python("adr_scenario.py", "--succeed")
    assert ended.returncode == 0, ended.stderr
    assert "and says: server-" in ended.stdout
    assert ended.stdout.splitlines()[-1] == "COMPLETED; left behind: 0"
    assert left(place, world) == []
