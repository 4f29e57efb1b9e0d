"""A namespace, written as everybody writes it: up and down."""

from __future__ import annotations

from alma import Saga, destroy
from alma.runner import up
from alma.runner.settings import Settings
from tests.integration.kubernetes.cluster import Cluster
from tests.pulumi.registry.written import written


async def test_what_is_imported_at_the_top_comes_up(
    cluster: Cluster, provider: dict[str, str]
) -> None:
    """The program's module is sent by value, the SDK's by name."""
    program, modules = written("kubernetes", "space")
    saga = Saga("registry")
    saga.add_stack("space", program=program, config=provider)
    settings = Settings(modules=modules)
    name = (await up(saga, settings=settings)).outputs["space"]["name"]
    assert name in cluster.namespaces(name)
    await destroy(saga, settings=settings)
    assert name not in cluster.namespaces(name)
