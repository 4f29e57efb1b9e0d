"""A stack with a proxy: a container with a published port in front of the servers.

Config: `network` and `upstreams` (JSON list of URLs) are required. `image` (`nginx:1.27-alpine`),
`port` (of the host; 0 for a free one), `address` (`127.0.0.1`: of the host), `listen` (80: in the
container), and those of every container.
Outputs: `url`, `container`.

The image gets the upstreams in two ways: as the variable UPSTREAMS, separated by spaces, and as
the file `config_path` (`/etc/nginx/conf.d/default.conf`) in nginx's form.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

import pulumi
import pulumi_docker as docker

from stacks.docker.container import container, image
from stacks.docker.exports import address, url

NGINX = "nginx:1.27-alpine"


def program() -> None:
    """The stack: the proxy, which goes round the upstreams. Raises ValueError without any."""
    config = pulumi.Config()
    config.require("network")
    upstreams, listen = config.require_object("upstreams"), config.get_int("listen") or 80
    if not (isinstance(upstreams, list) and upstreams):
        raise ValueError(f"upstreams must be a JSON list of URLs, not empty: {upstreams!r}")
    proxy = container(
        "proxy",
        config,
        image(config, NGINX),
        env={"UPSTREAMS": " ".join(upstreams)},
        published=docker.ContainerPortArgs(
            internal=listen,
            external=config.get_int("port") or None,
            ip=address(config),
        ),
        uploads=[
            docker.ContainerUploadArgs(
                file=config.get("config_path") or "/etc/nginx/conf.d/default.conf",
                content=nginx(upstreams, listen),
            )
        ],
    )
    pulumi.export("url", url(config, proxy))
    pulumi.export("container", proxy.id)


def nginx(upstreams: Sequence[str], listen: int) -> str:
    """The configuration for nginx: requests go to the upstreams in turn."""
    servers = "".join(f"    server {urlsplit(at).netloc};\n" for at in upstreams)
    return (
        f"upstream servers {{\n{servers}}}\n"
        f"server {{\n    listen {listen};\n"
        "    location / {\n        proxy_pass http://servers;\n    }\n}\n"
    )
