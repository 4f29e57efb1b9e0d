"""A stack with an ingress: the way to a service from outside of the cluster.

Config: `namespace`, `host` and `service` are required; `name` (`app`), `service_port` (80), `path`
(`/`, a prefix), `ingress_class` (default: the cluster's), `tls_secret` (the name of a secret with a
certificate; default: no TLS), `labels`, `wait` (true; false does not wait for an address, which
only an ingress controller gives), `ready_within` (600, seconds).
Outputs: `ingress`, `url`.
"""

from __future__ import annotations

import pulumi
from pulumi_kubernetes.networking.v1 import (
    HTTPIngressPathArgs,
    HTTPIngressRuleValueArgs,
    Ingress,
    IngressBackendArgs,
    IngressRuleArgs,
    IngressServiceBackendArgs,
    IngressSpecArgs,
    IngressTLSArgs,
    ServiceBackendPortArgs,
)

from stacks.kubernetes.metadata import described


def program() -> None:
    """The stack. It is up when the ingress has an address, unless `wait` is false."""
    config = pulumi.Config()
    host, path = config.require("host"), config.get("path", "/")
    tls_secret, seconds = config.get("tls_secret"), config.get_int("ready_within", 600)
    unwatched = config.get_bool("wait") is False
    ingress = Ingress(
        "ingress",
        metadata=described(
            config.get("name", "app"),
            namespace=config.require("namespace"),
            labels=config.get_object("labels"),
            annotations={"pulumi.com/skipAwait": "true"} if unwatched else None,
        ),
        spec=IngressSpecArgs(
            ingress_class_name=config.get("ingress_class"),
            tls=[IngressTLSArgs(hosts=[host], secret_name=tls_secret)] if tls_secret else None,
            rules=[IngressRuleArgs(host=host, http=_route(config, path))],
        ),
        opts=pulumi.ResourceOptions(
            custom_timeouts=pulumi.CustomTimeouts(create=f"{seconds}s", update=f"{seconds}s")
        ),
    )
    pulumi.export("ingress", ingress.metadata.name)
    pulumi.export("url", f"{'https' if tls_secret else 'http'}://{host}{path}")


def _route(config: pulumi.Config, path: str) -> HTTPIngressRuleValueArgs:
    backend = IngressServiceBackendArgs(
        name=config.require("service"),
        port=ServiceBackendPortArgs(number=config.get_int("service_port", 80)),
    )
    return HTTPIngressRuleValueArgs(
        paths=[
            HTTPIngressPathArgs(
                path=path, path_type="Prefix", backend=IngressBackendArgs(service=backend)
            )
        ]
    )
