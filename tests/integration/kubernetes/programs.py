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
    ServiceAccount,
)
from pulumi_kubernetes.meta.v1 import LabelSelectorArgs, ObjectMetaArgs


def objects() -> None:
    """A config map, a secret and a deployment that nobody waits for."""
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
    labels = {"app": version}
    deployment = Deployment(
        "deployment",
        metadata=ObjectMetaArgs(
            namespace=namespace, name="given", annotations={"pulumi.com/skipAwait": "true"}
        ),
        spec=DeploymentSpecArgs(
            replicas=0,
            selector=LabelSelectorArgs(match_labels=labels),
            template=PodTemplateSpecArgs(
                metadata=ObjectMetaArgs(labels=labels),
                spec=PodSpecArgs(containers=[ContainerArgs(name="app", image="nginx:1.27")]),
            ),
        ),
    )
    pulumi.export("settings", settings.metadata.name)
    pulumi.export("secret", secret.metadata.name)
    pulumi.export("data", secret.data)
    pulumi.export("uid", deployment.metadata.uid)


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


def unknown() -> None:
    """A type that the stand-in has not."""
    namespace = pulumi.Config().require("namespace")
    ServiceAccount("account", metadata=ObjectMetaArgs(namespace=namespace))
