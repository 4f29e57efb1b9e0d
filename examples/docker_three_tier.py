"""Database, servers and a proxy as containers in a network of their own: one saga, four stacks.

    alma-pulumi up examples/docker_three_tier.py        # or: python examples/docker_three_tier.py
    alma-pulumi destroy examples/docker_three_tier.py

It needs a Docker daemon (DOCKER_HOST says where, if not here) and Pulumi's provider for it. So
that it needs no more, busybox plays all three roles. With a real image each `**busybox...` goes:
the defaults of the database and the proxy are PostgreSQL and nginx.

IMAGE is the image, PORT the proxy's port on this machine; 0, the default, is a free one.
"""

from __future__ import annotations

import os
import sys

from alma import Retry, Saga, SagaFailed
from stacks.docker import busybox, database, network, proxy, servers

IMAGE = os.environ.get("IMAGE", "busybox:1")
PORT = int(os.environ.get("PORT", "0"))

saga = Saga("docker-three-tier")
net = saga.add_stack("network", program=network.program)
db = saga.add_stack(
    "database",
    program=database.program,
    config={**busybox.database(row="one row"), "image": IMAGE},
    inputs={"network": net.output("name")},
)
web = saga.add_stack(
    "servers",
    program=servers.program,
    config={**busybox.server(), "image": IMAGE, "count": 2},
    # The password is a secret output: it reaches the servers as secret config.
    inputs={
        "network": net.output("name"),
        "db_host": db.output("host"),
        "db_port": db.output("port"),
        "db_password": db.output("password"),
    },
    retry=Retry(attempts=2),
)
saga.add_stack(
    "proxy",
    program=proxy.program,
    config={**busybox.proxy(), "image": IMAGE, "port": PORT},
    inputs={"network": net.output("name"), "upstreams": web.output("urls")},
    timeout=300,
)

if __name__ == "__main__":
    try:
        result = saga.run()
    except SagaFailed as failed:
        print(failed, file=sys.stderr)
        sys.exit(failed.exit_code)
    print(f"{result.state.name}: try  curl {result.outputs['proxy']['url']}")
    print(f"Take it down with  alma-pulumi destroy {__file__}")
