"""A stack with a database: a container, and a volume for its data.

Config: `network` is required. `image` (`postgres:17`), `password` (secret; made once if it is not
given), `password_env` (`POSTGRES_PASSWORD`: how the image takes it), `mount`
(`/var/lib/postgresql/data`: where its data is), `port` (5432), and those of every container.
Outputs: `host` (its name in the network), `port`, `password` (secret), `container`, `volume`.
"""

from __future__ import annotations

import pulumi
import pulumi_docker as docker

from stacks.docker.container import container, image, labels
from stacks.docker.exports import once_up
from stacks.docker.password import Password

POSTGRES = "postgres:17"


def program() -> None:
    """The stack: a volume, and the database over it."""
    config = pulumi.Config()
    config.require("network")
    backing = image(config, POSTGRES)
    password = config.get_secret("password") or pulumi.Output.secret(Password("password").value)
    volume = docker.Volume(
        "data",
        labels=[docker.VolumeLabelArgs(label=k, value=v) for k, v in labels().items()],
    )
    database = container(
        "database",
        config,
        backing,
        env={config.get("password_env") or "POSTGRES_PASSWORD": password},
        health=("CMD-SHELL", "pg_isready -U postgres") if config.get("image") is None else (),
        grace=10,
        volumes=[
            docker.ContainerVolumeArgs(
                volume_name=volume.name,
                container_path=config.get("mount") or "/var/lib/postgresql/data",
            )
        ],
    )
    pulumi.export("host", once_up(database, "database"))
    pulumi.export("port", config.get_int("port") or 5432)
    pulumi.export("password", password)
    pulumi.export("container", database.id)
    pulumi.export("volume", volume.name)
