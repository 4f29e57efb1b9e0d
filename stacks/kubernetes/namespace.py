"""A stack with a namespace.

Config: `name` (default: made of the project's name and random characters), `labels` (a JSON object
of strings).
Outputs: `name`.
"""

from __future__ import annotations

import pulumi
from pulumi_kubernetes.core.v1 import Namespace

from stacks.kubernetes.metadata import described


def program() -> None:
    """The stack: one namespace. It is up when the namespace is active."""
    config = pulumi.Config()
    namespace = Namespace(
        pulumi.get_project(),
        metadata=described(config.get("name"), labels=config.get_object("labels")),
    )
    pulumi.export("name", namespace.metadata.name)
