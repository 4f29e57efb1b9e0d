"""What the resources of these stacks have in common."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

INSTANCE = "app.kubernetes.io/instance"
NAME = "app.kubernetes.io/name"
"""https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/"""


def described(
    name: str | None,
    *,
    namespace: str | None = None,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> ObjectMetaArgs:
    """An object's metadata: `labels`, and those that name the application and this stack.

    Without a `name` the provider makes one of the resource's name and random characters.
    """
    return ObjectMetaArgs(
        name=name,
        namespace=namespace,
        labels={**(labels or {}), **selector(name or pulumi.get_project())},
        annotations=dict(annotations) if annotations else None,
    )


def selector(name: str) -> dict[str, str]:
    """The labels that say which pods belong to the application; immutable in a deployment."""
    return {NAME: name, INSTANCE: pulumi.get_stack()}
