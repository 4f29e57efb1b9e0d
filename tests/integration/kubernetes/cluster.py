"""The cluster as the tests see it: asked directly, past alma, Pulumi and its plugin."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kubernetes.client import ApiClient, AppsV1Api, CoreV1Api, NetworkingV1Api
from kubernetes.client.exceptions import ApiException

PATIENCE = 480.0
"""Seconds for what takes a few on an idle machine."""


@dataclass(frozen=True)
class Cluster:
    """One cluster, by its API."""

    client: ApiClient

    def namespace(self, name: str) -> dict[str, Any] | None:
        """The namespace, or None when it is gone."""
        return self._one(CoreV1Api(self.client).read_namespace, name)

    def namespaces(self, beginning: str) -> list[str]:
        """The names of those that begin so."""
        found = CoreV1Api(self.client).list_namespace().items
        return [n.metadata.name for n in found if n.metadata.name.startswith(beginning)]

    def seen(self, namespace: str, name: str = "app") -> dict[str, dict[str, Any]]:
        """The objects of this name that are there, by kind; and the namespace."""
        core, place = CoreV1Api(self.client), (name, namespace)
        found = {
            "namespace": self.namespace(namespace),
            "config map": self._one(core.read_namespaced_config_map, *place),
            "secret": self._one(core.read_namespaced_secret, *place),
            "deployment": self.deployment(namespace, name),
            "endpoints": self._one(core.read_namespaced_endpoints, *place),
            "ingress": self._one(NetworkingV1Api(self.client).read_namespaced_ingress, *place),
        }
        return {kind: document for kind, document in found.items() if document is not None}

    def left(self, namespace: str) -> list[str]:
        """All that is in the namespace, and the namespace itself: nothing when it is clean."""
        core, apps = CoreV1Api(self.client), AppsV1Api(self.client)
        lists: dict[str, Callable[..., Any]] = {
            "config map": core.list_namespaced_config_map,
            "secret": core.list_namespaced_secret,
            "service": core.list_namespaced_service,
            "pod": core.list_namespaced_pod,
            "deployment": apps.list_namespaced_deployment,
            "replica set": apps.list_namespaced_replica_set,
            "ingress": NetworkingV1Api(self.client).list_namespaced_ingress,
        }
        found = [
            f"{kind} {item.metadata.name}"
            for kind, objects in lists.items()
            for item in objects(namespace).items
            if item.metadata.name != "kube-root-ca.crt"  # the cluster's own, in every namespace
        ]
        return found + [f"namespace {namespace}"] * (self.namespace(namespace) is not None)

    def make_namespace(self, name: str, **labels: str) -> None:
        """Make one as somebody else would."""
        CoreV1Api(self.client).create_namespace({"metadata": {"name": name, "labels": labels}})

    def age(self, namespace: str) -> float:
        """For how many seconds the namespace has been there; its time is known to the second."""
        made = CoreV1Api(self.client).read_namespace(namespace).metadata.creation_timestamp
        return (datetime.now(UTC) - made).total_seconds()

    def delete_namespace(self, name: str) -> None:
        """Ask for its deletion; gone already is a success."""
        self._one(CoreV1Api(self.client).delete_namespace, name)

    def delete_deployment(self, namespace: str, name: str = "app") -> None:
        """Delete it behind everybody's back, and see it gone."""
        AppsV1Api(self.client).delete_namespaced_deployment(name, namespace)
        for _ in patiently(f"deployment {name} stays"):
            if self.deployment(namespace, name) is None:
                return

    def deployment(self, namespace: str, name: str = "app") -> dict[str, Any] | None:
        """The deployment, or None."""
        return self._one(AppsV1Api(self.client).read_namespaced_deployment, name, namespace)

    def _one(self, read: Callable[..., Any], *place: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self.client.sanitize_for_serialization(read(*place))
        except ApiException as error:
            if error.status == 404:
                return None
            raise
        return found


def patiently(what: str) -> Iterator[None]:
    """Try again and again; fails with `what` when it takes too long."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        yield
        time.sleep(0.1)
    raise AssertionError(f"{what} for {PATIENCE:g} s")
