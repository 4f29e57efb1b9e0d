from __future__ import annotations

import asyncio

from temporalio.client import Client

from tests.services.temporal import Server, Temporal


def test_a_server_answers_its_client(temporal: Temporal) -> None:
    async def namespace() -> str:
        return (await Client.connect(temporal.address)).namespace

    assert asyncio.run(namespace()) == "default"
    assert "AlmaState" in temporal.cli("operator", "search-attribute", "list")


def test_a_server_that_was_killed_has_what_it_was_told(own_temporal: Server) -> None:
    kept = own_temporal.address.cli
    kept("operator", "namespace", "create", "-n", "kept")
    own_temporal.stop()
    own_temporal.start()
    assert "kept" in kept("operator", "namespace", "describe", "-n", "kept")
