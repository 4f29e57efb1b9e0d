"""An image, a container and a network, as pages on the provider show them."""

from __future__ import annotations

import os

import pulumi
import pulumi_docker as docker

from alma import Saga

saga = Saga("registry", stack="dev")
image = os.environ.get("REGISTRY_IMAGE", "ubuntu:precise")


def pulled() -> None:
    """An image."""
    found = docker.RemoteImage("ubuntu", name=image, keep_locally=True)
    pulumi.export("digest", found.repo_digest)


def running() -> None:
    """A container of an image, with a port and an environment."""
    base = docker.RemoteImage("base", name=image, keep_locally=True)
    container = docker.Container(
        "web",
        image=base.image_id,
        command=["sleep", "600"],
        envs=["MODE=production"],
        ports=[docker.ContainerPortArgs(internal=8080)],
        must_run=True,
    )
    pulumi.export("name", container.name)


def connected() -> None:
    """A network, and a container that is in it."""
    network = docker.Network("backend", driver="bridge")
    base = docker.RemoteImage("base", name=image, keep_locally=True)
    docker.Container(
        "api",
        image=base.image_id,
        command=["sleep", "600"],
        networks_advanced=[
            docker.ContainerNetworksAdvancedArgs(name=network.name, aliases=["api"])
        ],
    )
    pulumi.export("network", network.name)


saga.add_stack("pulled", program=pulled)
saga.add_stack("running", program=running, after=[])
saga.add_stack("connected", program=connected, after=[])
