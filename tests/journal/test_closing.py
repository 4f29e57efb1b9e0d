"""A journal that is closed: all of it is in one file, whoever else has that open."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from alma.journal import open_journal
from alma.journal.sqlite import connection
from tests.journal.tools import child, created, ended, files_of, fill, open_at


@pytest.fixture(scope="module")
def suffix() -> str:
    """What is SQLite's own."""
    return ".db"


def test_nothing_is_left_beside_a_closed_journal(path: Path) -> None:
    """A closed journal is one file, which can be copied."""
    fill(path)
    assert set(files_of(path)) == {"journal.db", ".gitignore"}


MAKE = """
import sys
from pathlib import Path
from alma.journal import open_journal
from tests.journal.tools import created

sys.stdin.readline()
with open_journal(Path(sys.argv[1]), write=True) as journal:
    with journal.acquire(sys.argv[2] + "/dev", sys.argv[2]) as lease:
        journal.create_run(sys.argv[2], created(sys.argv[2]), lease)
"""


def test_the_first_writers_make_one_journal(path: Path) -> None:
    """Several processes that find no journal end up in the same one, and none loses a run."""
    makers = [child(MAKE, path, f"r{number}") for number in range(4)]
    for maker in makers:
        assert maker.stdin is not None
        maker.stdin.write("go\n")
        maker.stdin.flush()
    assert [ended(maker) for maker in makers] == [0] * 4
    with open_journal(path, write=False) as journal:
        assert {row.run for row in journal.runs()} == {"r0", "r1", "r2", "r3"}
        assert journal.verify().ok
    # SQLite removes its log only where the last one to close meets nobody who closes as well.
    left = files_of(path)
    assert left.pop("journal.db-wal", b"") == b""
    assert left.keys() - {"journal.db-shm"} == {"journal.db", ".gitignore"}


def reads(path: Path) -> sqlite3.Connection:
    """Somebody who is in the midst of reading the journal, as it is now."""
    reader = sqlite3.connect(
        f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
    )
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM events").fetchone()
    return reader


def late(path: Path) -> None:
    """Another run, by a writer that closes."""
    with open_at(path, write=True) as journal, journal.acquire("late/dev", "late") as lease:
        journal.create_run("late", created("late"), lease)


@pytest.mark.parametrize("moment", [0, 0.2])
def test_what_was_added_is_in_the_file_itself_though_somebody_has_it_open(
    path: Path, tmp_path: Path, moment: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who copies the file when all runs have ended has all of them, whoever watched those."""
    monkeypatch.setattr(connection, "CLOSING", 60_000)  # who reads may be slow to end, here
    fill(path)
    with closing(open_at(path, write=True)), closing(reads(path)) as reader:
        done = threading.Timer(moment, reader.execute, ["ROLLBACK"])
        done.start()
        late(path)
        done.join()
        copied = Path(shutil.copyfile(path, tmp_path / "copy.db"))
    with open_journal(copied, write=False) as journal:
        assert "late" in {row.run for row in journal.runs()}


def test_who_closes_leaves_to_the_log_what_somebody_reads_on_and_on(path: Path) -> None:
    """It does not wait for ever, and nothing is lost."""
    fill(path)
    with closing(open_at(path, write=True)) as other, closing(reads(path)):
        late(path)
        assert "late" in {row.run for row in other.runs()}
    with open_journal(path, write=False) as journal:
        assert "late" in {row.run for row in journal.runs()}
