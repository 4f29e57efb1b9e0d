"""Programs for the plugin alone, by config: a namespace's objects with names that are made up."""

from __future__ import annotations

import pulumi
from pulumi_kubernetes.apps.v1 import Deployment, DeploymentSpecArgs
from pulumi_kubernetes.core.v1 import (
    ConfigMap,
    ContainerArgs,
    PodSpecArgs,
    PodTemplateSpecArgs,
    Secret,
)
from pulumi_kubernetes.meta.v1 import LabelSelectorArgs, ObjectMetaArgs


def objects() -> None:
    """A config map, a secret and a deployment of no pods."""
    config = pulumi.Config()
    namespace, version = config.require("namespace"), config.require("version")
    unnamed = ObjectMetaArgs(namespace=namespace)
    settings = ConfigMap("settings", metadata=unnamed, data={"VERSION": version})
    key = config.require_secret("key")
    secret = Secret(
        "secret",
        metadata=ObjectMetaArgs(namespace=namespace, labels={f"label-{version}": "mine"}),
        string_data={"KEY": key},
    )
    deployment = _deployment(ObjectMetaArgs(namespace=namespace, name="given"), version)
    pulumi.export("settings", settings.metadata.name)
    pulumi.export("secret", secret.metadata.name)
    pulumi.export("data", secret.data)
    pulumi.export("uid", deployment.metadata.uid)


def late() -> None:
    """A deployment whose pods never run: no node is as it wants it."""
    namespace = pulumi.Config().require("namespace")
    patience = {"pulumi.com/timeoutSeconds": "1"}
    metadata = ObjectMetaArgs(namespace=namespace, name="late", annotations=patience)
    _deployment(metadata, "late", replicas=1, node_selector={"disk": "none"})


def _deployment(
    metadata: ObjectMetaArgs, app: str, *, replicas: int = 0, **pod: dict[str, str]
) -> Deployment:
    labels = {"app": app}
    template = PodTemplateSpecArgs(
        metadata=ObjectMetaArgs(labels=labels),
        spec=PodSpecArgs(containers=[ContainerArgs(name="app", image="nginx:1.27")], **pod),
    )
    return Deployment(
        metadata.name,
        metadata=metadata,
        spec=DeploymentSpecArgs(
            replicas=replicas,
            selector=LabelSelectorArgs(match_labels=labels),
            template=template,
        ),
    )


def adopted() -> None:
    """A config map that somebody else has made, taken over as it is."""
    namespace = pulumi.Config().require("namespace")
    made = ConfigMap(
        "theirs",
        metadata=ObjectMetaArgs(namespace=namespace, name="theirs"),
        data={"A": "1"},
        opts=pulumi.ResourceOptions(import_=f"{namespace}/theirs"),
    )
    pulumi.export("uid", made.metadata.uid)
