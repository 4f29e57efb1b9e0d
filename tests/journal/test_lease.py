"""Leases: one runner a target, and no append by a runner that was taken over."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from alma.core.events import Process
from alma.errors import JournalError, RunnerBusyError, StaleEpochError
from alma.journal.journal import Journal
from alma.journal.lease import Lease, lock_path
from alma.journal.sqlite import leases as _journal_leases
from alma.system.files import is_locked, try_lock
from tests.journal.tools import START, Clock, a_run, child, created, intended

TARGET = "shop/dev"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".alma" / "journal.db"


def test_a_lease_is_held_until_it_is_released(path: Path) -> None:
    """`is_held` follows the lease, also in a journal that was opened for reading."""
    with Journal.open(path, write=True) as journal, Journal.open(path, write=False) as reader:
        assert not reader.is_held(TARGET)
        with journal.acquire(TARGET, "r1") as lease:
            assert reader.is_held(TARGET)
            assert lease.held
        assert not lease.held
        assert not reader.is_held(TARGET)
        lease.release()  # the second time does nothing


def test_epochs_count_up_for_each_target(path: Path) -> None:
    """Each lease on a target has the next epoch; other targets have their own."""
    with Journal.open(path, write=True) as journal:
        for epoch in (1, 2, 3):
            with journal.acquire(TARGET, f"r{epoch}") as lease:
                assert lease.epoch == epoch == journal.latest_epoch(TARGET)
        with journal.acquire("blog/dev", "r4") as lease:
            assert lease.epoch == 1
        assert journal.latest_epoch("wiki/dev") == 0


def test_the_holder_is_known(path: Path) -> None:
    """Who holds a lease, for which run and since when; it stays known afterwards, as not live."""
    clock = Clock()
    with Journal.open(path, write=True, clock=clock) as journal:
        assert journal.holder(TARGET) is None
        with journal.acquire(TARGET, "r1", actor="jane@here") as lease:
            holder = journal.holder(TARGET)
            assert holder is not None
            assert (holder.run, holder.epoch, holder.actor) == ("r1", 1, "jane@here")
            assert holder.process == lease.process
            assert holder.process.pid == os.getpid()
            assert holder.acquired_at == clock.now
            assert holder.live
        after = journal.holder(TARGET)
        assert after is not None
        assert not after.live


def test_a_held_lease_is_refused_naming_its_holder(path: Path) -> None:
    """The second runner is told pid, host, since when, and which run."""
    with (
        Journal.open(path, write=True, clock=Clock()) as one,
        Journal.open(path, write=True) as two,
        one.acquire(TARGET, "r1"),
    ):
        with pytest.raises(RunnerBusyError) as caught:
            two.acquire(TARGET, "r2")
        for part in (str(os.getpid()), socket.gethostname(), "2026-01-31T14:25:01", "run r1"):
            assert part in caught.value.message
        assert caught.value.exit_code == 11
        assert two.latest_epoch(TARGET) == 1
        with two.acquire("blog/dev", "r2"):
            pass


def test_a_refusal_does_not_name_a_dead_holder(path: Path) -> None:
    """A holder that has its lock and not yet its row is not mistaken for the one before it."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    dead = Process(host=socket.gethostname(), pid=process.pid, started=1.0)
    with Journal.open(path, write=True) as journal:
        journal.acquire(TARGET, "r1", process=dead).release()
        lock = try_lock(lock_path(path, TARGET))
        assert lock is not None
        try:
            with pytest.raises(RunnerBusyError, match="just starting"):
                journal.acquire(TARGET, "r2")
        finally:
            lock.release()


def test_a_refusal_waits_for_the_name_of_the_holder(path: Path) -> None:
    """The row of a runner that has just started is waited for a moment, and then named."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    dead = Process(host=socket.gethostname(), pid=process.pid, started=1.0)
    with Journal.open(path, write=True) as journal:
        journal.acquire(TARGET, "r1", process=dead).release()
        lock = try_lock(lock_path(path, TARGET))
        assert lock is not None

        def add() -> None:
            lease = Lease(
                target=TARGET,
                run="r7",
                epoch=0,
                process=Process(host="far", pid=7, started=7.0),
                actor="",
                acquired_at=START,
                lock=lock,
            )
            with journal._store.transaction("add") as connection:
                _journal_leases._add(connection, lease)

        late = threading.Timer(0.1, add)
        late.start()
        try:
            with pytest.raises(RunnerBusyError, match=r"pid 7 on far, since .*, run r7"):
                journal.acquire(TARGET, "r2")
        finally:
            late.join()
            lock.release()


def test_a_stale_epoch_never_appends(path: Path) -> None:
    """A runner whose lock is gone, and which was taken over, is refused for ever."""
    with a_run(path) as (one, stale), Journal.open(path, write=True) as two:
        fcntl.flock(descriptor_of(stale), fcntl.LOCK_UN)  # as if its machine had forgotten it
        with two.acquire(TARGET, "r1") as lease:
            with pytest.raises(StaleEpochError, match="its epoch is 1, the last is 2"):
                one.append("r1", intended(), stale)
            with pytest.raises(StaleEpochError, match="its epoch is 1"):
                one.create_run("r1", created(), stale)
            two.append("r1", intended(), lease)
        with pytest.raises(StaleEpochError):
            one.append("r1", intended(2), stale)
        assert [entry.epoch for entry in two.events("r1")] == [1, 2]
        assert two.verify().ok


def test_removing_the_lock_file_lets_nobody_append_twice(path: Path) -> None:
    """Whoever deletes the lock of a live runner gets a lease, and the runner is stale."""
    with a_run(path) as (one, stale), Journal.open(path, write=True) as two:
        lock_path(path, TARGET).unlink()
        with two.acquire(TARGET, "r1"), pytest.raises(StaleEpochError):
            one.append("r1", intended(), stale)


def test_the_lock_file_is_private(path: Path) -> None:
    """The directory is 0700 and the file 0600, its name a hash: targets may hold any text."""
    with Journal.open(path, write=True) as journal, journal.acquire("../../x/\ny", "r1"):
        lock = lock_path(path, "../../x/\ny")
        assert lock.parent == path.parent / "leases"
        assert lock.parent.stat().st_mode & 0o777 == 0o700
        assert lock.stat().st_mode & 0o777 == 0o600


def test_looking_makes_nothing(path: Path) -> None:
    """`is_held` and `holder` make neither a file nor a directory."""
    with Journal.open(path, write=False) as journal:
        assert not journal.is_held(TARGET)
        assert journal.holder(TARGET) is None
    assert not path.parent.exists()


def test_a_lock_that_is_a_symlink_is_refused(path: Path, tmp_path: Path) -> None:
    """A planted link is not followed, neither to take the lease nor to look at it."""
    with Journal.open(path, write=True) as journal:
        lock = lock_path(path, TARGET)
        lock.parent.mkdir(mode=0o700)
        lock.symlink_to(tmp_path / "elsewhere")
        with pytest.raises(JournalError, match="lease"):
            journal.acquire(TARGET, "r1")
        with pytest.raises(JournalError, match="lease"):
            journal.is_held(TARGET)
    assert not (tmp_path / "elsewhere").exists()


def test_a_lease_without_its_row_is_given_back(path: Path) -> None:
    """When the epoch cannot be written, the lock is released: the next try gets it."""
    with Journal.open(path, write=True) as journal:
        with pytest.raises(ValueError, match="float"):
            journal.acquire(TARGET, "r1", process=Process(host="h", pid=1, started="soon"))  # type: ignore[arg-type]
        assert not journal.is_held(TARGET)
        with journal.acquire(TARGET, "r1") as lease:
            assert lease.epoch == 1


def test_those_who_only_look_keep_nobody_out(path: Path) -> None:
    """A lease is got at once while others look at it all the time."""
    over = threading.Event()
    lock = lock_path(path, TARGET)

    def look() -> None:
        while not over.is_set():
            is_locked(lock)

    with Journal.open(path, write=True) as journal:
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


def descriptor_of(lease: Lease) -> int:
    descriptor = lease.lock._descriptor
    assert descriptor is not None
    return descriptor


HOLD = """
import sys
from pathlib import Path
from alma.errors import RunnerBusyError
from alma.journal.journal import Journal

print("ready", flush=True)
sys.stdin.readline()
try:
    journal = Journal.open(Path(sys.argv[1]), write=True)
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
            runner.communicate("end\n", timeout=20)
    winner = answers.index("got 1\n")
    others = [answer for answer in answers if answer != "got 1\n"]
    assert len(others) == 9
    assert all(answer.endswith(f"run r{winner}.\n") for answer in others), others
    with Journal.open(path, write=False) as journal:
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
        with Journal.open(path, write=True) as journal:
            assert journal.is_held(TARGET)
            runner.kill()
            runner.wait()
            assert not journal.is_held(TARGET)
            with journal.acquire(TARGET, "r1") as lease:
                assert lease.epoch == 2


def test_a_child_process_does_not_keep_the_lease(path: Path) -> None:
    """What a runner starts does not inherit the lock, even with all descriptors passed on."""
    with Journal.open(path, write=True) as journal:
        lease = journal.acquire(TARGET, "r1")
        sleeper = subprocess.Popen(["sleep", "30"], close_fds=False)
        try:
            os.close(descriptor_of(lease))  # as the runner's death would, without unlocking
            assert not journal.is_held(TARGET)
        finally:
            sleeper.kill()
            sleeper.wait()
