"""A database migration by a command, and a release that needs it; when that fails, both are undone.

The commands are those of [the script](migration/migrate.py) that such a team has anyway: one that
migrates, one that migrates back, one that says whether the migration is there.

    python examples/migration.py             # the database is migrated, the release is out
    FAIL=1 python examples/migration.py      # the release fails: migrated back, and seen to be
"""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from alma import Context, Saga, SagaFailed

DATABASE = Path("shop.sqlite").absolute()
MIGRATE = [sys.executable, Path(__file__).with_name("migration") / "migrate.py"]


def prepare() -> None:
    """The database as it is before: whoever has one has this."""
    with closing(sqlite3.connect(DATABASE)) as database:
        database.execute("CREATE TABLE IF NOT EXISTS customers (id INTEGER PRIMARY KEY, name TEXT)")
        database.execute("INSERT OR IGNORE INTO customers (id, name) VALUES (1, 'Ada')")
        database.commit()


def release(context: Context) -> str:
    """What needs the migration."""
    if os.environ.get("FAIL"):
        raise RuntimeError("the new shop does not answer")
    return f"released on {context.inputs['script']}"


saga = Saga("shop")
saga.add_step(prepare, "none")
orders = saga.add_command(
    "orders",
    do=[*MIGRATE, "up", "0002"],
    undo=[*MIGRATE, "down", "0002"],
    check=[*MIGRATE, "check", "0002"],
    already=3,
    gone=4,
    inputs={"DATABASE": str(DATABASE)},
    timeout=60,
)
saga.add_step(release, "none", inputs={"script": orders.output("script")})

if __name__ == "__main__":
    try:
        print(saga.run().state.name)
    except SagaFailed as error:
        print(error, file=sys.stderr)
        raise SystemExit(error.exit_code) from error
