"""A namespace, a deployment and a service, as pages on the provider show them."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as k8s
from pulumi_kubernetes.apps.v1 import Deployment
from pulumi_kubernetes.core.v1 import Namespace, Service

from alma import Saga

saga = Saga("registry", stack="dev")
labels = {"app": "nginx"}


def space() -> None:
    """A namespace."""
    made = Namespace("space")
    pulumi.export("name", made.metadata.name)


def app() -> None:
    """A deployment."""
    deployment = Deployment(
        "nginx",
        spec={
            "selector": {"match_labels": labels},
            "replicas": 1,
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "nginx", "image": "nginx"}]},
            },
        },
    )
    pulumi.export("name", deployment.metadata.apply(lambda found: found.name))


def front() -> None:
    """A deployment by the SDK's own classes, and the service before it."""
    k8s.apps.v1.Deployment(
        "front",
        metadata=k8s.meta.v1.ObjectMetaArgs(labels=labels),
        spec=k8s.apps.v1.DeploymentSpecArgs(
            replicas=1,
            selector=k8s.meta.v1.LabelSelectorArgs(match_labels=labels),
            template=k8s.core.v1.PodTemplateSpecArgs(
                metadata=k8s.meta.v1.ObjectMetaArgs(labels=labels),
                spec=k8s.core.v1.PodSpecArgs(
                    containers=[k8s.core.v1.ContainerArgs(name="nginx", image="nginx")]
                ),
            ),
        ),
    )
    service = Service(
        "front", spec={"type": "ClusterIP", "selector": labels, "ports": [{"port": 80}]}
    )
    pulumi.export("ip", service.spec.cluster_ip)


saga.add_stack("space", program=space)
saga.add_stack("app", program=app, after=[])
saga.add_stack("front", program=front, after=[])
