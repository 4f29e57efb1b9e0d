"""A stack with application servers: `count` containers of one image.

Config: `image` is required. `network`, `count` (2), `port` (8080: where the application listens),
`publish` (`false`; `true` gives each server a free port of the host too), `address`
(`127.0.0.1`: where that is), `db_url`, `db_host`, `db_port`, `db_user`, `db_password` (secret),
and those of every container.
Outputs: `urls` (in the network), `published` (of the host, one for each server, or none),
`containers`.
"""

from __future__ import annotations

import pulumi
import pulumi_docker as docker

from stacks.docker.container import container, image
from stacks.docker.exports import address, once_up, url


def program() -> None:
    """The stack: the servers, each of which is given where the database is by its environment."""
    config = pulumi.Config()
    port, publish = config.get_int("port") or 8080, config.get_bool("publish")
    backing = image(config)
    database = {f"DB_{key.upper()}": config.get(f"db_{key}") for key in ("host", "port", "user")}
    secret = {f"DB_{key.upper()}": config.get_secret(f"db_{key}") for key in ("url", "password")}
    servers = [
        container(
            f"server-{number}",
            config,
            backing,
            env={**database, **secret, "SERVER": f"server-{number}", "PORT": str(port)},
            published=docker.ContainerPortArgs(internal=port, ip=address(config))
            if publish
            else None,
        )
        for number in range(2 if config.get_int("count") is None else config.require_int("count"))
    ]
    pulumi.export("containers", [server.id for server in servers])
    pulumi.export(
        "urls",
        [once_up(server, f"http://server-{n}:{port}") for n, server in enumerate(servers)],
    )
    pulumi.export("published", [url(config, server) for server in servers if publish])
