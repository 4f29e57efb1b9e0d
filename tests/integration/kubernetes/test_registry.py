"""A namespace, written as everybody writes it: up and down."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from alma import Saga, destroy
from alma.runner import up
from alma.runner.settings import Settings
from alma.saga.target import load_saga
from tests.integration.kubernetes.cluster import Cluster

WRITTEN = Path(__file__).parents[2] / "pulumi" / "registry" / "on_kubernetes.py"

pytestmark = pytest.mark.timeout(300)


async def test_what_is_imported_at_the_top_comes_up(
    cluster: Cluster, provider: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program's module is sent by value, the SDK's by name."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    loaded = load_saga(str(WRITTEN))
    (program,) = (step.program for step in loaded.saga.steps if step.name == "space")
    saga = Saga("registry")
    saga.add_stack("space", program=program, config=provider)
    settings = Settings(modules=loaded.modules)
    name = (await up(saga, settings=settings)).outputs["space"]["name"]
    assert name in cluster.namespaces(name)
    await destroy(saga, settings=settings)
    assert name not in cluster.namespaces(name)
