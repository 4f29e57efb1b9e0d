"""What the tests' programs are made of: resources of `world_provider`, and components."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime.settings import register_package


class Thing(pulumi.CustomResource):
    """`made` is only known once it is there."""

    made: pulumi.Output[str]

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None, **props: Any) -> None:
        super().__init__("world:index:Thing", name, {"made": None, **props}, opts)


class Other(pulumi.CustomResource):
    """The same by another type."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None, **props: Any) -> None:
        super().__init__("world:index:Other", name, {"made": None, **props}, opts)


class Provider(pulumi.ProviderResource):
    """A provider of one's own; another `realm` replaces it."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None, **props: Any) -> None:
        super().__init__("world", name, props, opts)


class Sub(pulumi.CustomResource):
    """Of a package that is made by parameterizing the provider."""

    made: pulumi.Output[str]

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None, **props: Any) -> None:
        parameter = base64.b64encode(b"what it is").decode()
        package = register_package("world", "1.0.0", "", "sub", "2.0.0", parameter)
        super().__init__(
            "sub:index:Thing", name, {"made": None, **props}, opts, package_ref=package
        )


class Group(pulumi.ComponentResource):
    """A component."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("test:index:Group", name, None, opts)


def world_of(directory: Path) -> dict[str, Any]:
    """What is really there: by id, what it is made of."""
    return {path.name: json.loads(path.read_text()) for path in sorted(directory.iterdir())}
