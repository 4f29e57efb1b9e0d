"""A stack with a network for the containers of the other stacks.

Config, all optional: `driver` (`bridge`), `subnet` (CIDR; else Docker picks one), `internal`
(`false`; `true` for a network that reaches nothing outside).
Outputs: `name` (what the other stacks take as `network`), `id`.
"""

from __future__ import annotations

import pulumi
import pulumi_docker as docker

from stacks.docker.container import labels


def program() -> None:
    """The stack: one network, in which containers find each other by their aliases."""
    config = pulumi.Config()
    subnet = config.get("subnet")
    network = docker.Network(
        "network",
        driver=config.get("driver") or "bridge",
        internal=config.get_bool("internal") or False,
        ipam_configs=[docker.NetworkIpamConfigArgs(subnet=subnet)] if subnet else None,
        labels=[docker.NetworkLabelArgs(label=k, value=v) for k, v in labels().items()],
    )
    pulumi.export("name", network.name)
    pulumi.export("id", network.id)
