"""The provider: its settings, its errors, and what differs from the base."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pulumi.provider.experimental.property_value import PropertyValue

from tests.providers.base import Props, StandIn, table
from tests.providers.kubernetes.api import ApiError, Cluster, ConfigError, connect
from tests.providers.kubernetes.kinds import ALL
from tests.providers.kubernetes.naming import is_autonamed
from tests.providers.kubernetes.waiting import NotInTimeError
from tests.providers.values import plain_map

if TYPE_CHECKING:
    from pulumi.provider.experimental import provider as sdk

# What the server writes into an object's metadata: no input of an imported one.
_SERVERS_OWN = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "uid")


class Kubernetes(StandIn):
    """pulumi-kubernetes for the kinds of `kinds.ALL`."""

    name = "kubernetes"
    kinds = table(*ALL)
    settings = frozenset({"kubeconfig", "context", "namespace"})

    def connect(self, config: Props) -> Cluster:
        """The cluster of the settings, of KUBECONFIG or of the home directory; nothing is asked."""
        keys = ("kubeconfig", "context", "namespace")
        return connect(*(config.get(key) or None for key in keys))

    def explain(self, error: Exception) -> str | None:
        """What the API server and the kubeconfig are blamed for."""
        known = ApiError | ConfigError | NotInTimeError | LookupError
        return str(error) if isinstance(error, known) else None

    async def diff(self, request: sdk.DiffRequest) -> sdk.DiffResponse:
        """As the base; a replacement of the same given name must delete the old object first."""
        response = await super().diff(request)
        old, new = plain_map(request.old_state), plain_map(request.new_inputs)
        response.delete_before_replace = not is_autonamed(new) and _place(old) == _place(new)
        return response

    async def read(self, request: sdk.ReadRequest) -> sdk.ReadResponse:
        """As the base; of an imported object, only what somebody has asked for is input."""
        response = await super().read(request)
        metadata = (response.inputs or {}).get("metadata")
        if not request.inputs and metadata is not None and isinstance(metadata.value, Mapping):
            kept = {k: v for k, v in metadata.value.items() if k not in _SERVERS_OWN}
            response.inputs = {**response.inputs, "metadata": PropertyValue(kept)}
        return response

    async def cancel(self) -> None:
        """End what waits: what is there by then gets into the state as not ready."""
        if self._api is not None:
            self._api.cancelled.set()


def _place(document: Props) -> tuple[str, str]:
    metadata = document.get("metadata") or {}
    return metadata.get("namespace") or "default", metadata.get("name", "")


PROVIDER = Kubernetes()
