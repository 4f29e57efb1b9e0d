"""What the stacks export of a container."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pulumi
    import pulumi_docker as docker


def once_up(container: docker.Container, value: str) -> pulumi.Output[str]:
    """The value, not known before the container is up: who takes it comes after that."""
    made: pulumi.Output[str] = container.id
    return made.apply(lambda _: value)


def address(config: pulumi.Config) -> str:
    """The `address` of the host that ports are published on; of this machine alone by default."""
    return config.get("address") or "127.0.0.1"


def url(config: pulumi.Config, container: docker.Container) -> pulumi.Output[str]:
    """The URL of the container's first published port, once Docker has told which one it is."""
    at = address(config)
    host = "127.0.0.1" if at == "0.0.0.0" else at  # noqa: S104 - compared, not listened on
    published: pulumi.Output[Any] = container.ports
    return published.apply(lambda ports: f"http://{host}:{ports[0].external}")
