"""One saga, two environments: what differs is parameters, in a file for each.

    cd examples/environments
    export ADMIN_PASSWORD=...           # the files only say where it is
    alma-pulumi params
    alma-pulumi up --params dev.yaml
    alma-pulumi up --params prod.yaml -p servers=3
    alma-pulumi status --all
    alma-pulumi destroy --stack prod    # as it was deployed: nothing is said again

In Python it is a function as any other: `shop("dev", Secret("...")).run()`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pulumi

from alma import Saga, Secret
from stacks.local import database
from stacks.local import servers as fleet


def shop(
    environment: Literal["dev", "prod"],
    admin_password: Secret,
    servers: int = 1,
    rows: list[str] | None = None,
) -> Saga:
    """The shop of one environment."""
    saga = Saga("shop", stack=environment)
    data_dir = str(Path.cwd() / ".alma" / "data" / environment)
    db = saga.add_stack(
        "database",
        program=database.program,
        config={"data_dir": data_dir, "rows": rows or [f"a row of {environment}"]},
    )

    def program() -> None:
        """What the function was given is here as well, in the process that runs it."""
        fleet.program()
        pulumi.export("environment", environment)
        pulumi.export("admin_password", pulumi.Config().require_secret("admin_password"))

    saga.add_stack(
        "servers",
        program=program,
        config={"data_dir": data_dir, "count": servers, "admin_password": admin_password},
        inputs={"db_url": db.output("url"), "db_password": db.output("password")},
    )
    return saga
