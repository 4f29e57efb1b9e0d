"""When a kind of object is ready: what is missing, in words. Pure over the documents it is given.

The conditions are those of provider/pkg/await of pulumi-kubernetes 4.34.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Document = Mapping[str, Any]


def namespace(live: Document) -> list[str]:
    """A namespace is active."""
    phase = (live.get("status") or {}).get("phase")
    return [] if phase == "Active" else [f"the namespace is {phase or 'without a phase'}"]


def deployment(live: Document, pods: Iterable[Document]) -> list[str]:
    """Its controller has seen it, and as many new replicas are available as were asked for."""
    status, spec = live.get("status") or {}, live["spec"]
    if status.get("observedGeneration") != live["metadata"]["generation"]:
        return ["the deployment controller has not seen it yet"]
    wanted = spec.get("replicas", 1)
    counts = {
        "replicas": status.get("replicas", 0),
        "updated": status.get("updatedReplicas", 0),
        "available": status.get("availableReplicas", 0),
    }
    if all(count == wanted for count in counts.values()) and _holds(status, "Available"):
        return []
    told = ", ".join(f"{count} {name}" for name, count in counts.items())
    return [f"{wanted} replicas wanted: {told}", *sorted({*_troubles(pods)})]


def service(live: Document, endpoints: Document | None, settled: bool) -> list[str]:
    """It has an address if it is to have one, and the pods that it selects are ready.

    `settled`: nothing has changed for so long that no pods is what it will stay at.
    """
    spec, lacks = live["spec"], []
    if spec.get("type") == "LoadBalancer" and not _addresses(live):
        lacks.append("the service was not allocated an IP address")
    if spec.get("type") == "ExternalName" or spec.get("clusterIP") == "None":
        return lacks
    if not spec.get("selector"):
        return lacks
    subsets = (endpoints or {}).get("subsets") or []
    if any(subset.get("notReadyAddresses") for subset in subsets):
        lacks.append("pods of the service are not ready")
    elif not any(subset.get("addresses") for subset in subsets) and not settled:
        lacks.append("the service does not target any pods")
    return lacks


def ingress(live: Document, endpoints: Iterable[str]) -> list[str]:
    """It has an address, and the services that it routes to have endpoints."""
    lacks = [
        f"no matching service found for ingress rule: {backend}"
        for backend in sorted(backends(live) - {*endpoints})
    ]
    if not _addresses(live):
        lacks.append("no ingress controller has given the ingress an address")
    return lacks


def backends(live: Document) -> set[str]:
    """The names of the services that an ingress routes to."""
    paths = [
        path
        for rule in live["spec"].get("rules") or ()
        for path in (rule.get("http") or {}).get("paths") or ()
    ]
    names = {((path.get("backend") or {}).get("service") or {}).get("name") for path in paths}
    return {name for name in names if name}


def _addresses(live: Document) -> list[Any]:
    balancer = (live.get("status") or {}).get("loadBalancer") or {}
    return balancer.get("ingress") or []


def _holds(status: Document, condition: str) -> bool:
    return any(
        one["type"] == condition and one["status"] == "True"
        for one in status.get("conditions") or ()
    )


def _troubles(pods: Iterable[Document]) -> Iterable[str]:
    """Why pods do not run, in the words of the scheduler and of the nodes."""
    for pod in pods:
        status = pod.get("status") or {}
        for one in status.get("conditions") or ():
            if one["status"] != "True" and one.get("message"):
                yield f"{one.get('reason') or one['type']}: {one['message']}"
        for container in status.get("containerStatuses") or ():
            waiting = (container.get("state") or {}).get("waiting") or {}
            if waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
                yield f"{waiting['reason']}: {waiting.get('message', container['name'])}"
