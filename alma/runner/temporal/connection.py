"""How Temporal is reached: as its own SDK and CLI are told, and by what alma is told above that."""

from __future__ import annotations

import re
from typing import Any

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError, RPCStatusCode

from alma.errors import AlmaError, AuthenticationError, DefinitionError
from alma.runner.settings import Settings
from alma.runner.temporal.payloads import converter
from alma.system.processes import PLACE

ADDRESS = "localhost:7233"
"""Temporal's own default."""


async def connect(address: str, namespace: str, settings: Settings) -> tuple[Client, str]:
    """TLS, API key and headers are those of TEMPORAL_* and of Temporal's config file.

    And the host of the journal that what is said to Temporal is sealed under (`Order.place`).
    """
    with settings.open(write=True) as journal:
        journal.require_key()
        journal.keys.prepare()
        keys, place = journal.keys, "" if journal.is_shared else PLACE
    said: dict[str, Any] = dict(_environment())
    said["target_host"] = address or said.get("target_host") or ADDRESS
    if namespace:
        said["namespace"] = namespace
    try:
        client = await Client.connect(**said, data_converter=converter(keys))
    except (RPCError, RuntimeError, ValueError) as error:
        raise _refusal(said["target_host"], str(error)) from error
    await _require_namespace(client)
    return client, place


class UnreachableTemporalError(AlmaError):
    """Nothing was asked of it."""


def _refusal(where: str, words: str) -> AlmaError:
    """What the SDK's words say of why it is not answered: they have it in no other form."""
    if re.search(r"\b(Unauthenticated|PermissionDenied)\b", words):
        return AuthenticationError(
            f"Temporal at {where} does not let this client in: its API key, or its certificate, is "
            "not taken there.",
            hint="See TEMPORAL_API_KEY, TEMPORAL_TLS_CLIENT_CERT_PATH and "
            "TEMPORAL_TLS_CLIENT_KEY_PATH, or the profile in Temporal's config file.",
        )
    if found := re.search(r"InvalidCertificate\((\w+)", words):
        return UnreachableTemporalError(
            f"The certificate that Temporal at {where} shows is not valid here: {found[1]}.",
            hint="TEMPORAL_TLS_SERVER_CA_CERT_PATH is who signs it, TEMPORAL_TLS_SERVER_NAME the "
            "name that it is for.",
        )
    return UnreachableTemporalError(
        f"Temporal at {where} cannot be reached.",
        hint="Is it running there, and does it speak TLS? Address, namespace, TLS and API key are "
        "as `temporal` has them: TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_TLS, "
        "TEMPORAL_API_KEY.",
    )


async def _require_namespace(client: Client) -> None:
    """Who may not ask hears of it later."""
    try:
        await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=client.namespace)
        )
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            where = client.service_client.config.target_host
            raise DefinitionError(
                f"Temporal at {where} has no namespace {client.namespace}.",
                hint="Say which one by --namespace or TEMPORAL_NAMESPACE, or make it: `temporal "
                f"operator namespace create -n {client.namespace}`.",
            ) from error


def _environment() -> dict[str, Any]:
    try:
        return dict(ClientConfig.load_client_connect_config())
    except Exception as error:
        raise DefinitionError(
            "What the environment or Temporal's config file says of the connection cannot be "
            f"read: {type(error).__name__}.",
            hint="See https://docs.temporal.io/develop/environment-configuration",
        ) from error
