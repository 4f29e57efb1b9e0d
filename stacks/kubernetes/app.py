"""A stack with an application: a deployment, and a service in front of its pods.

Config: `namespace` and `image` are required; `name` (`app`), `replicas` (2), `port` (8080, of the
container), `service_port` (80), `command` (a JSON list; default: the image's own), `health_path`
(asked for readiness; default: a started container is ready), `config_map` and `secret` (names; all
their keys become environment variables), `digest` (secret; when it changes, the pods are replaced),
`node_selector` and `labels` (JSON objects of strings), `ready_within` (600, seconds).
Outputs: `deployment`, `service`, `service_port`, `url` (inside the cluster).
"""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
from pulumi_kubernetes.apps.v1 import Deployment, DeploymentSpecArgs
from pulumi_kubernetes.core.v1 import (
    ConfigMapEnvSourceArgs,
    ContainerArgs,
    ContainerPortArgs,
    EnvFromSourceArgs,
    HTTPGetActionArgs,
    PodSpecArgs,
    PodTemplateSpecArgs,
    ProbeArgs,
    SecretEnvSourceArgs,
    Service,
    ServicePortArgs,
    ServiceSpecArgs,
)
from pulumi_kubernetes.meta.v1 import LabelSelectorArgs, ObjectMetaArgs

from stacks.kubernetes.metadata import described, selector

PORT = "http"
"""The container port's name, by which the service finds it."""


def program() -> None:
    """The stack. It is up when all replicas are ready. Raises ValueError for a bad number."""
    config = pulumi.Config()
    name, namespace = config.get("name", "app"), config.require("namespace")
    service_port = _port(config, "service_port", 80)
    metadata = described(name, namespace=namespace, labels=config.get_object("labels"))
    seconds = config.get_int("ready_within", 600)
    patience = pulumi.CustomTimeouts(create=f"{seconds}s", update=f"{seconds}s")
    deployment = Deployment(
        "deployment",
        metadata=metadata,
        spec=DeploymentSpecArgs(
            replicas=_replicas(config),
            selector=LabelSelectorArgs(match_labels=selector(name)),
            template=_pod(config, name),
        ),
        opts=pulumi.ResourceOptions(custom_timeouts=patience),
    )
    service = Service(
        "service",
        metadata=metadata,
        spec=ServiceSpecArgs(
            selector=selector(name),
            ports=[ServicePortArgs(name=PORT, port=service_port, target_port=PORT)],
        ),
        # A service is ready when its pods are.
        opts=pulumi.ResourceOptions(depends_on=[deployment], custom_timeouts=patience),
    )
    pulumi.export("deployment", deployment.metadata.name)
    pulumi.export("service", service.metadata.name)
    pulumi.export("service_port", service_port)
    pulumi.export(
        "url", service.metadata.name.apply(lambda name: f"http://{name}.{namespace}:{service_port}")
    )


def _pod(config: pulumi.Config, name: str) -> PodTemplateSpecArgs:
    labels: Mapping[str, str] = config.get_object("labels") or {}
    digest, health_path = config.get_secret("digest"), config.get("health_path")
    port, probe = _port(config, "port", 8080), None
    if health_path:
        probe = ProbeArgs(http_get=HTTPGetActionArgs(path=health_path, port=PORT))
    return PodTemplateSpecArgs(
        metadata=ObjectMetaArgs(
            labels={**labels, **selector(name)},
            # Environment variables are read once: only another template brings new pods.
            annotations={"checksum/settings": digest} if digest else None,
        ),
        spec=PodSpecArgs(
            node_selector=config.get_object("node_selector"),
            containers=[
                ContainerArgs(
                    name="app",
                    image=config.require("image"),
                    command=config.get_object("command"),
                    ports=[ContainerPortArgs(name=PORT, container_port=port)],
                    env_from=_environment(config.get("config_map"), config.get("secret")) or None,
                    readiness_probe=probe,
                )
            ],
        ),
    )


def _environment(config_map: str | None, secret: str | None) -> list[EnvFromSourceArgs]:
    sources = []
    if config_map:
        sources.append(EnvFromSourceArgs(config_map_ref=ConfigMapEnvSourceArgs(name=config_map)))
    if secret:
        sources.append(EnvFromSourceArgs(secret_ref=SecretEnvSourceArgs(name=secret)))
    return sources


def _replicas(config: pulumi.Config) -> int:
    replicas = config.get_int("replicas", 2)
    if replicas < 0:
        raise ValueError(f"replicas must be 0 or more, not {replicas}")
    return replicas


def _port(config: pulumi.Config, key: str, default: int) -> int:
    port = config.get_int(key, default)
    if not 0 < port < 1 << 16:
        raise ValueError(f"{key} must be from 1 to 65535, not {port}")
    return port
