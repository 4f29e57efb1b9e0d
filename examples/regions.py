"""A saga for each region, and one around them: one region's failure undoes all of them.

    alma-pulumi up examples/regions.py               # or: python examples/regions.py
    alma-pulumi status --unfold
    alma-pulumi graph --unfold examples/regions.py
    FAIL=1 alma-pulumi up examples/regions.py        # the last step fails: all is undone
    alma-pulumi destroy examples/regions.py

Each region is a run of its own, with its own lease, in the same journal. It has completed by the
time that the directory of all regions is written; where that fails, it is undone all the same, and
verified.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from alma import Context, Saga, SagaFailed
from stacks.local import database, servers

REGIONS = ("eu", "us")


def region(name: str) -> Saga:
    """What is in one region. The database is what all of them share."""
    own = Saga("region", stack=name)
    own.add_stack(
        "servers",
        program=servers.program,
        config={"data_dir": str(data_directory() / name), "count": 1},
        inputs={"db_url": own.input("db_url"), "db_password": own.input("db_password")},
    )
    return own


def regions() -> Saga:
    """All of them."""
    around = Saga("regions")
    db = around.add_stack(
        "database", program=database.program, config={"data_dir": str(data_directory())}
    )
    each = around.add_saga(
        "regions",
        region,
        for_each=REGIONS,
        inputs={"db_url": db.output("url"), "db_password": db.output("password")},
    )
    around.add_step(
        "directory",
        action=write_directory,
        compensation=remove_directory,
        inputs={name: each.output(f"{name}.servers.urls") for name in REGIONS},
    )
    return around


def data_directory() -> Path:
    """Where the files of all stacks go."""
    return Path.cwd() / ".alma" / "data" / "regions"


def write_directory(context: Context) -> dict[str, Any]:
    """Say where each region is to be reached."""
    if os.environ.get("FAIL"):
        raise RuntimeError("the directory cannot be written")
    file = data_directory() / "regions.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(dict(context.inputs)))
    return {"file": str(file)}


def remove_directory() -> None:
    """Nothing is there where it was never written."""
    (data_directory() / "regions.json").unlink(missing_ok=True)


saga = regions()

if __name__ == "__main__":
    try:
        result = saga.run()
    except SagaFailed as error:
        sys.exit(str(error))
    sys.stdout.write(f"{result.state.name}: {result.outputs['directory']['file']}\n")
