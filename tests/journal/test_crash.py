"""What a crash, a full disk or another writer leaves: always a whole prefix."""

from __future__ import annotations

import random
import shutil
import sqlite3
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alma.core import events as ev
from alma.errors import JournalError
from alma.journal import open_journal
from alma.journal.rows import LeaseRow
from alma.journal.store import Writer
from tests.journal.tools import Clock, a_run, child, connection_of, created, ended, intended


@pytest.fixture(scope="module")
def suffix() -> str:
    """What is SQLite's own."""
    return ".db"


APPEND = """
import sys
from pathlib import Path
from alma.journal import open_journal
from tests.journal.tools import created, intended

path, run, saga, count = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
with open_journal(path, write=True) as journal, journal.acquire(f"{saga}/dev", run) as lease:
    if not journal.events(run):
        journal.create_run(run, created(saga), lease)
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(count):
        print(journal.append(run, intended(number), lease).seq, flush=True)
"""


def test_a_killed_writer_leaves_a_whole_prefix(path: Path) -> None:
    """Killed at any moment, a dozen times over: all that was acknowledged is there, in order."""
    chance = random.Random(14)  # noqa: S311 - when to kill
    acknowledged = 1
    for _ in range(12):
        with child(APPEND, path, "r1", "shop", 1_000_000) as writer:
            assert writer.stdin is not None
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
            writer.stdin.write("go\n")
            writer.stdin.flush()
            time.sleep(chance.uniform(0.0, 0.05))
            writer.kill()
            printed = [line for line in writer.stdout.read().split("\n")[:-1] if line]
        acknowledged = max([acknowledged, *map(int, printed)])
        with open_journal(path, write=False) as reader:
            seqs = [entry.seq for entry in reader.events("r1")]
            assert seqs == list(range(1, len(seqs) + 1))
            assert len(seqs) >= acknowledged
            assert reader.verify().ok
        acknowledged = len(seqs)
    with open_journal(path, write=False) as reader:
        assert reader.latest_epoch("shop/dev") == 12


def test_two_writers_at_once_are_both_right(path: Path) -> None:
    """Two processes append to runs of their own: one chain, no gap, nothing lost."""
    writers = [child(APPEND, path, f"r{name}", name, 100) for name in ("a", "b")]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    assert [ended(writer) for writer in writers] == [0, 0]
    with open_journal(path, write=False) as journal:
        assert [len(journal.events(run)) for run in ("ra", "rb")] == [101, 101]
        verdict = journal.verify()
        assert (verdict.ok, verdict.events) == (True, 202)


def test_threads_may_share_a_journal(path: Path) -> None:
    """Appends from several threads through one journal do not get into each other's way."""
    with a_run(path) as (journal, lease):
        threads = [
            threading.Thread(target=lambda: [journal.append("r1", intended(), lease) for _ in "ab"])
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(journal.events("r1")) == 17
        assert journal.verify().ok


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes, int]:
    """File and log of a journal as a power cut leaves them, and how many events it had."""
    path = tmp_path_factory.mktemp("live") / "journal.db"
    with a_run(path) as (journal, lease):
        for number in range(12):
            journal.append("r1", intended(number), lease)
        wal = path.with_name("journal.db-wal")
        return path.read_bytes(), wal.read_bytes(), 13


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_torn_log_loses_only_its_tail(
    data: st.DataObject, live: tuple[bytes, bytes, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A log cut off or damaged anywhere gives a whole prefix, and the journal goes on from it."""
    main, log, count = live
    torn = bytearray(log)
    offset = data.draw(st.integers(0, len(torn) - 1))
    if data.draw(st.booleans()):
        del torn[offset:]
    else:
        torn[offset] ^= 0xFF
    path = tmp_path_factory.mktemp("torn") / "journal.db"
    path.write_bytes(main)
    path.with_name("journal.db-wal").write_bytes(torn)
    with open_journal(path, write=False) as reader:
        before = reader.events("r1")
        verdict = reader.verify()
    assert verdict.ok
    assert verdict.events == len(before) <= count
    with (
        open_journal(path, write=True) as journal,
        journal.acquire("shop/dev", "r1") as lease,
    ):
        if not before:
            journal.create_run("r1", created(), lease)
        journal.append("r1", intended(), lease)
        assert journal.events("r1")[: len(before)] == before
        assert journal.verify().ok
    shutil.rmtree(path.parent)


def test_a_locked_journal_is_waited_for(path: Path) -> None:
    """A writer that is soon done is only waited for."""
    with a_run(path) as (journal, lease):
        other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        release = threading.Timer(0.15, lambda: other.execute("ROLLBACK"))
        release.start()
        assert journal.append("r1", intended(), lease).seq == 2
        release.join()
        other.close()


def test_a_journal_that_stays_locked_is_refused(path: Path) -> None:
    """After the wait it is a typed error that says so, chained, and nothing was written."""
    with a_run(path) as (_, lease), open_journal(path, write=True, wait=0.05) as journal:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match=r"locked by another writer \(waited 0.05 s\)") as it:
            journal.append("r1", intended(), lease)
        assert isinstance(it.value.__cause__, sqlite3.OperationalError)
        assert len(journal.events("r1")) == 1  # readers are not held up
        other.execute("ROLLBACK")
        other.close()
        assert journal.append("r1", intended(), lease).seq == 2


def test_a_lease_on_a_locked_journal_is_refused(path: Path) -> None:
    """A lease cannot be taken while another writer holds the file, and is given back."""
    with a_run(path), open_journal(path, write=True, wait=0.05) as journal:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match="take the lease on blog/dev"):
            journal.acquire("blog/dev", "r2")
        other.close()
        assert not journal.is_held("blog/dev")


FILL = """
import resource, sys
from pathlib import Path
from alma.errors import JournalError
from alma.journal.rows import LeaseRow
from alma.journal.store import Writer
from alma.journal import open_journal
from tests.journal.tools import Clock, a_run, intended

path = Path(sys.argv[1])
with a_run(path) as (journal, lease):
    size = max(each.stat().st_size for each in path.parent.iterdir())
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50_000, hard))
    written = 1
    try:
        while True:
            written = journal.append("r1", intended(written), lease).seq
    except JournalError as error:
        print(error.message, "|", repr(error.__cause__))
    assert [entry.seq for entry in journal.events("r1")] == list(range(1, written + 1))
    assert journal.verify().ok
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert journal.append("r1", intended(), lease).seq == written + 1
    assert journal.verify().ok
print("whole", flush=True)
"""


def test_a_disk_that_takes_no_more_is_a_typed_error(path: Path) -> None:
    """A write that the system refuses loses that event alone; with room again it goes on."""
    answer, _ = child(FILL, path).communicate(timeout=300)
    assert "Cannot write OperationIntended of run r1" in answer
    assert "| OperationalError(" in answer
    assert answer.endswith("whole\n")


def test_a_page_limit_is_a_full_disk(path: Path) -> None:
    """SQLite's own word for a full disk says so to the user."""
    with a_run(path) as (journal, lease):
        connection = connection_of(journal)
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        big = ev.RunInterrupted(reason="x" * 100_000)
        with pytest.raises(JournalError, match="disk that is full"):
            journal.append("r1", big, lease)
        assert journal.verify().ok


def test_a_reader_of_a_journal_in_use_is_not_held_up(path: Path) -> None:
    """Reading goes on while a writer is in the middle of a transaction, and sees what is whole."""
    with (
        a_run(path) as (journal, _),
        open_journal(path, write=False, wait=0.05) as reader,
    ):

        def look(writer: Writer) -> None:
            writer.add_lease(LeaseRow(2, "x", 1, "r", "h", 1, 0.0, "", "", "", ""))
            assert len(reader.events("r1")) == 1
            assert reader.latest_epoch("x") == 0

        journal._store.write("hold", look)


def test_the_clock_of_the_crash_does_not_matter(path: Path) -> None:
    """A runner that goes on with a clock a day behind takes the next place."""
    with a_run(path):
        pass
    with (
        open_journal(path, write=True, clock=Clock(Clock().now.replace(year=2020))) as journal,
        journal.acquire("shop/dev", "r1") as lease,
    ):
        assert journal.append("r1", intended(), lease).seq == 2
        assert journal.verify().ok
