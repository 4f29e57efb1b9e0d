"""What a team's script for migrations is like: `migrate.py up|down|check NUMBER` on $DATABASE.

Each migration is one transaction with its note in `migrations`, so that it is there or not. Exit
codes: 0 done, or there; 3 there already; 4 not there. 1 is Python's own for an error, and says
neither.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

ALREADY, GONE = 3, 4
HERE = Path(__file__).parent


def applied(database: sqlite3.Connection, number: str) -> bool:
    """Whether the migration is noted."""
    database.execute("CREATE TABLE IF NOT EXISTS migrations (number TEXT PRIMARY KEY, key TEXT)")
    found = database.execute("SELECT 1 FROM migrations WHERE number = ?", (number,))
    return found.fetchone() is not None


def run(database: sqlite3.Connection, verb: str, number: str) -> int:
    """One of the three; the exit code."""
    there = applied(database, number)
    if verb == "check":
        return 0 if there else GONE
    [script] = HERE.glob(f"{number}_*.{verb}.sql")
    Path(os.environ["ALMA_OUTPUT"]).write_text(f"script={script.name}\n")
    if verb == "up" and there:
        return ALREADY
    if verb == "down" and not there:
        return GONE
    database.execute("BEGIN")
    for statement in filter(str.strip, script.read_text().split(";")):
        database.execute(statement)
    if verb == "up":
        row = (number, os.environ["ALMA_KEY"])
        database.execute("INSERT INTO migrations VALUES (?, ?)", row)
    else:
        database.execute("DELETE FROM migrations WHERE number = ?", (number,))
    database.execute("COMMIT")
    return 0


if __name__ == "__main__":
    connection = sqlite3.connect(os.environ["DATABASE"], isolation_level=None, timeout=60)
    with closing(connection) as opened:
        sys.exit(run(opened, sys.argv[1], sys.argv[2]))
