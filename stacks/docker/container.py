"""What the stacks with containers share: one container, from their config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_docker as docker


def labels() -> dict[str, str]:
    """Labels that say which stack a container, a network or a volume belongs to."""
    return {"pulumi.project": pulumi.get_project(), "pulumi.stack": pulumi.get_stack()}


def image(config: pulumi.Config, default: str | None = None) -> docker.RemoteImage:
    """The `image` of the config. It is pulled if it is not there, and stays after a destroy."""
    name = config.get("image") or default or config.require("image")
    return docker.RemoteImage("image", name=name, keep_locally=True)


def container(
    name: str,
    config: pulumi.Config,
    image: docker.RemoteImage,
    *,
    env: Mapping[str, pulumi.Input[Any] | None],
    health: Sequence[str] = (),
    grace: int = 0,
    published: docker.ContainerPortArgs | None = None,
    volumes: Sequence[docker.ContainerVolumeArgs] = (),
    uploads: Sequence[docker.ContainerUploadArgs] = (),
) -> docker.Container:
    """A container that runs, and is healthy where it has a health check, once it is created.

    `name` is also its alias in the network. Of the config: `network`, `command`, `env`, `health`
    (its default is the parameter), `health_interval`, `wait`, `restart` and `grace` (as well).
    `env` is laid over the config's; a variable that is None is left out.
    """
    network, test = config.get("network"), config.get_object("health")
    test = list(health) if test is None else test
    configured_grace = config.get_int("grace")
    return docker.Container(
        name,
        image=image.image_id,
        command=config.get_object("command"),
        envs=_environment({**(config.get_object("env") or {}), **env}),
        networks_advanced=[docker.ContainerNetworksAdvancedArgs(name=network, aliases=[name])]
        if network
        else None,
        ports=[published] if published else None,
        volumes=list(volumes) or None,
        uploads=list(uploads) or None,
        healthcheck=docker.ContainerHealthcheckArgs(
            tests=test,
            interval=config.get("health_interval") or "2s",
            timeout="10s",
            retries=3,
        )
        if test
        else None,
        wait=bool(test),
        wait_timeout=config.get_int("wait") or 60,
        restart=config.get("restart") or "unless-stopped",
        destroy_grace_seconds=grace if configured_grace is None else configured_grace,
        labels=[docker.ContainerLabelArgs(label=k, value=v) for k, v in labels().items()],
        opts=pulumi.ResourceOptions(
            # Two containers cannot publish one port, so the old one must go first.
            delete_before_replace=published is not None,
            # An update of it would be reported, and not done.
            replace_on_changes=["healthcheck"],
        ),
    )


def _environment(env: Mapping[str, Any]) -> pulumi.Output[list[str]]:
    """`NAME=value`, sorted; secret as a whole when one of the values is."""
    present = {name: value for name, value in env.items() if value is not None}
    return pulumi.Output.all(**present).apply(
        lambda values: [f"{name}={values[name]}" for name in sorted(values)]
    )
