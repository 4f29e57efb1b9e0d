"""What the SQLite store does beyond what any store does."""

from __future__ import annotations

from pathlib import Path

import pytest

from alma.errors import JournalError
from alma.journal import open_journal
from tests.journal.tools import a_run, connection_of, fill, open_at


@pytest.fixture(scope="module")
def suffix() -> str:
    """What is SQLite's own."""
    return ".db"


def test_commits_are_durable(path: Path) -> None:
    """Write-ahead log and a full sync at each commit: a power cut loses nothing."""
    with a_run(path) as (journal, _):
        connection = connection_of(journal)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM runs ORDER BY position DESC LIMIT 20",
        "SELECT * FROM runs WHERE target = 'shop/dev' ORDER BY position DESC LIMIT 20",
        "SELECT run FROM runs WHERE run >= 'r' AND run < 'r' || char(1114111) LIMIT 6",
        "SELECT * FROM events WHERE run = 'r1' AND seq > 0 ORDER BY seq",
        "SELECT * FROM leases WHERE target = 'shop/dev' ORDER BY epoch DESC LIMIT 1",
    ],
)
def test_reading_does_not_sort(path: Path, query: str) -> None:
    """No query of a command sorts the table, so that 100,000 runs cost what 20 cost."""
    with a_run(path) as (journal, _):
        plan = connection_of(journal).execute(f"EXPLAIN QUERY PLAN {query}").fetchall()
        assert not [row for row in plan if "TEMP B-TREE" in row[3]]
        assert "INDEX" in plan[0][3] or "PRIMARY KEY" in plan[0][3] or "LIMIT" in query


def test_a_reader_at_rest_sees_what_comes_later(path: Path) -> None:
    """A reader of a journal that nobody had open notices when somebody writes to it."""
    fill(path)
    with open_at(path, write=False) as reader:
        assert len(reader.runs()) == 3
        with a_run(path, run="r4", saga="wiki"):
            pass
        assert [row.run for row in reader.runs(limit=1)] == ["r4"]


@pytest.mark.parametrize("where", ["mysql://db/alma", "s3://bucket/journal.db"])
def test_a_url_of_a_store_that_alma_has_not_is_refused(where: str) -> None:
    """One sentence, whether it comes as text or as a path; no directory is made of it."""
    for given in (where, Path(where)):
        with pytest.raises(JournalError, match=r"no journal at [a-z0-9]+: URLs"):
            open_journal(given, write=True)
