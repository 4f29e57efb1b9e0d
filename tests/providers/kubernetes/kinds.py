"""The kinds of objects that `stacks.kubernetes` uses."""

from __future__ import annotations

import base64

from tests.providers.base import Props
from tests.providers.kubernetes import ready
from tests.providers.kubernetes.api import Cluster
from tests.providers.kubernetes.objects import IDENTITY, Object

SETTLED = 10.0
"""Seconds after which a service without pods is taken to have none, as in the official provider."""


class Namespace(Object):
    token = "kubernetes:core/v1:Namespace"
    api_version, plural, namespaced = "v1", "namespaces", False

    def missing(self, api: Cluster, live: Props, passed: float) -> list[str]:  # noqa: ARG002
        return ready.namespace(live)


class ConfigMap(Object):
    """Its data are immutable unless the provider is told otherwise, as in the official one."""

    token = "kubernetes:core/v1:ConfigMap"
    api_version, plural = "v1", "configmaps"
    inputs = frozenset({"apiVersion", "kind", "metadata", "data", "binaryData", "immutable"})
    outputs = frozenset({"metadata"})
    volatile = outputs
    immutable = IDENTITY | {"data", "binaryData"}


class Secret(Object):
    """As a config map; the server tells `stringData` by `data`."""

    token = "kubernetes:core/v1:Secret"
    api_version, plural = "v1", "secrets"
    inputs = frozenset(
        {"apiVersion", "kind", "metadata", "data", "stringData", "immutable", "type"}
    )
    outputs = frozenset({"metadata", "data", "type"})
    volatile = frozenset({"metadata", "data"})
    immutable = IDENTITY | {"data", "stringData", "type"}
    secret = frozenset({"data", "stringData"})

    def found(self, live: Props, state: Props) -> Props:
        result, data = super().found(live, state), live.get("data", {})
        if strings := state.get("stringData"):
            there = {key: base64.b64decode(data[key]) for key in strings if key in data}
            result["stringData"] = {k: v.decode("utf-8", "replace") for k, v in there.items()}
        return result


class Service(Object):
    token = "kubernetes:core/v1:Service"
    api_version, plural = "v1", "services"
    outputs = frozenset({"metadata", "spec", "status"})
    immutable = IDENTITY | {"spec.clusterIP"}

    def missing(self, api: Cluster, live: Props, passed: float) -> list[str]:
        endpoints = api.get(
            _ENDPOINTS.path(live["metadata"]["namespace"], live["metadata"]["name"])
        )
        return ready.service(live, endpoints, settled=passed > SETTLED)


class Deployment(Object):
    token = "kubernetes:apps/v1:Deployment"
    api_version, plural = "apps/v1", "deployments"
    outputs = frozenset({"metadata", "spec", "status"})
    immutable = IDENTITY | {"spec.selector"}

    def missing(self, api: Cluster, live: Props, passed: float) -> list[str]:
        lacks = ready.deployment(live, ())
        if lacks and passed:
            labels = live["spec"]["selector"].get("matchLabels", {})
            pods = api.list(_PODS.path(live["metadata"]["namespace"]), labels)
            lacks = ready.deployment(live, pods)
        return lacks


class Ingress(Object):
    token = "kubernetes:networking.k8s.io/v1:Ingress"
    api_version, plural = "networking.k8s.io/v1", "ingresses"
    outputs = frozenset({"metadata", "spec", "status"})

    def missing(self, api: Cluster, live: Props, passed: float) -> list[str]:  # noqa: ARG002
        namespace = live["metadata"]["namespace"]
        there = [b for b in ready.backends(live) if api.get(_ENDPOINTS.path(namespace, b))]
        return ready.ingress(live, there)


class _Endpoints(Object):
    api_version, plural = "v1", "endpoints"


class _Pods(Object):
    api_version, plural = "v1", "pods"


_ENDPOINTS, _PODS = _Endpoints(), _Pods()
ALL = (Namespace(), ConfigMap(), Secret(), Service(), Deployment(), Ingress())
