"""The lock files behind leases in a file's directory, and who holds them."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import pytest

from alma.errors import JournalError, StaleEpochError
from alma.journal.lease import Lease
from alma.journal.sqlite.store import lock_path
from alma.system.files import FileLock, is_locked
from tests.journal.tools import a_run, child, intended, open_at

TARGET = "shop/dev"


@pytest.fixture(scope="module")
def suffix() -> str:
    """What is SQLite's own."""
    return ".db"


def test_removing_the_lock_file_lets_nobody_append_twice(path: Path) -> None:
    """Whoever deletes the lock of a live runner gets a lease, and the runner is stale."""
    with a_run(path) as (one, stale), open_at(path, write=True) as two:
        lock_path(path, TARGET).unlink()
        with two.acquire(TARGET, "r1"), pytest.raises(StaleEpochError):
            one.append("r1", intended(), stale)


def test_the_lock_file_is_private(path: Path) -> None:
    """The directory is 0700 and the file 0600, its name a hash: targets may hold any text."""
    with open_at(path, write=True) as journal, journal.acquire("../../x/\ny", "r1"):
        lock = lock_path(path, "../../x/\ny")
        assert lock.parent == path.parent / "leases"
        assert lock.parent.stat().st_mode & 0o777 == 0o700
        assert lock.stat().st_mode & 0o777 == 0o600


def test_a_lock_that_is_a_symlink_is_refused(path: Path, tmp_path: Path) -> None:
    """A planted link is not followed, neither to take the lease nor to look at it."""
    with open_at(path, write=True) as journal:
        lock = lock_path(path, TARGET)
        lock.parent.mkdir(mode=0o700)
        lock.symlink_to(tmp_path / "elsewhere")
        with pytest.raises(JournalError, match="lease"):
            journal.acquire(TARGET, "r1")
        with pytest.raises(JournalError, match="lease"):
            journal.is_held(TARGET)
    assert not (tmp_path / "elsewhere").exists()


def test_those_who_only_look_keep_nobody_out(path: Path) -> None:
    """A lease is got at once while others look at it all the time."""
    over = threading.Event()
    lock = lock_path(path, TARGET)

    def look() -> None:
        while not over.is_set():
            is_locked(lock)

    with open_at(path, write=True) as journal:
        journal.acquire(TARGET, "r0").release()
        watchers = [threading.Thread(target=look) for _ in range(3)]
        for watcher in watchers:
            watcher.start()
        try:
            for number in range(40):
                journal.acquire(TARGET, f"r{number}").release()
        finally:
            over.set()
            for watcher in watchers:
                watcher.join()


HOLD = """
import sys
from pathlib import Path
from alma.errors import RunnerBusyError
from alma.journal import open_journal

print("ready", flush=True)
sys.stdin.readline()
try:
    journal = open_journal(Path(sys.argv[1]), write=True)
    lease = journal.acquire("shop/dev", sys.argv[2])
except RunnerBusyError as error:
    print("busy", error.message, flush=True)
else:
    print("got", lease.epoch, flush=True)
sys.stdin.readline()
"""


def test_of_ten_runners_at_once_exactly_one_goes_on(path: Path) -> None:
    """Ten processes that start on one target at the same moment, where not even a journal is."""
    runners = [child(HOLD, path, f"r{number}") for number in range(10)]
    try:
        for runner in runners:
            assert runner.stdout is not None
            assert runner.stdout.readline() == "ready\n"
        for runner in runners:
            assert runner.stdin is not None
            runner.stdin.write("go\n")
            runner.stdin.flush()
        answers = [runner.stdout.readline() for runner in runners if runner.stdout]
    finally:
        for runner in runners:
            runner.communicate("end\n", timeout=300)
    winner = answers.index("got 1\n")
    others = [answer for answer in answers if answer != "got 1\n"]
    assert len(others) == 9
    assert all(answer.endswith(f"run r{winner}.\n") for answer in others), others
    with open_at(path, write=False) as journal:
        assert journal.latest_epoch(TARGET) == 1


def test_a_killed_runner_gives_its_lease_back(path: Path) -> None:
    """The lock dies with its process: no waiting, no cleaning up; the next epoch follows."""
    with child(HOLD, path, "r1") as runner:
        assert runner.stdin is not None
        assert runner.stdout is not None
        runner.stdin.write("go\n")
        runner.stdin.flush()
        assert runner.stdout.readline() == "ready\n"
        assert runner.stdout.readline() == "got 1\n"
        with open_at(path, write=True) as journal:
            assert journal.is_held(TARGET)
            runner.kill()
            runner.wait()
            assert not journal.is_held(TARGET)
            with journal.acquire(TARGET, "r1") as lease:
                assert lease.epoch == 2


def descriptor_of(lease: Lease) -> int:
    assert isinstance(lease.lock, FileLock)
    descriptor = lease.lock._descriptor
    assert descriptor is not None
    return descriptor


def test_a_child_process_does_not_keep_the_lease(path: Path) -> None:
    """What a runner starts does not inherit the lock, even with all descriptors passed on."""
    with open_at(path, write=True) as journal:
        lease = journal.acquire(TARGET, "r1")
        sleeper = subprocess.Popen(["sleep", "30"], close_fds=False)
        try:
            os.close(descriptor_of(lease))  # as the runner's death would, without unlocking
            assert not journal.is_held(TARGET)
        finally:
            sleeper.kill()
            sleeper.wait()
