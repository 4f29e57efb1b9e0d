"""How Temporal is reached: as its own SDK and CLI are told, and by what alma is told above that."""

from __future__ import annotations

from typing import Any

from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError

from alma.errors import AlmaError, DefinitionError
from alma.runner.settings import Settings
from alma.runner.temporal.payloads import converter

ADDRESS = "localhost:7233"
"""Temporal's own default."""


async def connect(address: str, namespace: str, settings: Settings) -> Client:
    """TLS, API key and headers are those of TEMPORAL_* and of Temporal's config file."""
    said: dict[str, Any] = dict(_environment())
    said["target_host"] = address or said.get("target_host") or ADDRESS
    if namespace:
        said["namespace"] = namespace
    with settings.open(write=True) as journal:
        journal.keys.prepare()
        keys = journal.keys
    try:
        return await Client.connect(**said, data_converter=converter(keys))
    except (RPCError, RuntimeError, ValueError) as error:
        raise UnreachableTemporalError(
            f"Temporal at {said['target_host']} cannot be reached.",
            hint="Is it running there? Address, namespace, TLS and API key are as `temporal` has "
            "them: TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_TLS, TEMPORAL_API_KEY.",
        ) from error


class UnreachableTemporalError(AlmaError):
    """Nothing was asked of it."""


def _environment() -> dict[str, Any]:
    try:
        return dict(ClientConfig.load_client_connect_config())
    except Exception as error:
        raise DefinitionError(
            "What the environment or Temporal's config file says of the connection cannot be "
            f"read: {type(error).__name__}.",
            hint="See https://docs.temporal.io/develop/environment-configuration",
        ) from error
