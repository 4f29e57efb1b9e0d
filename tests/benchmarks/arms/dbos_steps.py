"""The same with DBOS on SQLite, its database made to commit as alma's journal does."""

from __future__ import annotations

import sqlite3
import sys
import time
from pathlib import Path

from dbos import DBOS

path = Path("dbos.sqlite").absolute()
with sqlite3.connect(path) as connection:
    # It stays so in the file; synchronous=FULL is SQLite's default, which DBOS does not change.
    connection.execute("PRAGMA journal_mode = WAL")
DBOS(
    config={
        "name": "bench-steps",
        "system_database_url": f"sqlite:///{path}",
        "log_level": "ERROR",
        "run_admin_server": False,
    }
)


@DBOS.step()
def nothing(number: int) -> None:
    pass


@DBOS.workflow()
def work(count: int) -> int:
    for number in range(count):
        nothing(number)
    return count


DBOS.launch()
work(5)
count = int(sys.argv[1])
began = time.perf_counter()
work(count)
print(count / (time.perf_counter() - began))
DBOS.destroy()
