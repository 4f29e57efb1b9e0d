"""Leases: one runner a target, and no append by a runner that was taken over."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from alma.core.events import Process
from alma.errors import RunnerBusyError, StaleEpochError
from alma.journal import lease as leases
from alma.journal.lease import Lease
from tests.journal.tools import START, Clock, a_run, created, intended, open_at

TARGET = "shop/dev"


class Forgotten:
    """A lock whose holder believes that it is held."""

    held = True

    def release(self) -> None:
        pass


def test_a_lease_is_held_until_it_is_released(path: Path) -> None:
    """`is_held` follows the lease, also in a journal that was opened for reading."""
    with open_at(path, write=True) as journal, open_at(path, write=False) as reader:
        assert not reader.is_held(TARGET)
        with journal.acquire(TARGET, "r1") as lease:
            assert reader.is_held(TARGET)
            assert lease.held
        assert not lease.held
        assert not reader.is_held(TARGET)
        lease.release()  # the second time does nothing


def test_epochs_count_up_for_each_target(path: Path) -> None:
    """Each lease on a target has the next epoch; other targets have their own."""
    with open_at(path, write=True) as journal:
        for epoch in (1, 2, 3):
            with journal.acquire(TARGET, f"r{epoch}") as lease:
                assert lease.epoch == epoch == journal.latest_epoch(TARGET)
        with journal.acquire("blog/dev", "r4") as lease:
            assert lease.epoch == 1
        assert journal.latest_epoch("wiki/dev") == 0


def test_the_holder_is_known(path: Path) -> None:
    """Who holds a lease, for which run and since when; it stays known afterwards, as not live."""
    clock = Clock()
    with open_at(path, write=True, clock=clock) as journal:
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
        open_at(path, write=True, clock=Clock()) as one,
        open_at(path, write=True) as two,
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
    with open_at(path, write=True) as journal:
        journal.acquire(TARGET, "r1", process=dead).release()
        lock = journal._store.lock(TARGET)
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
    with open_at(path, write=True) as journal:
        journal.acquire(TARGET, "r1", process=dead).release()
        lock = journal._store.lock(TARGET)
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
            journal._store.write("add", lambda writer: leases._add(writer, lease))

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
    with a_run(path) as (one, stale), open_at(path, write=True) as two:
        stale.lock.release()
        stale.lock = Forgotten()  # as if its machine had forgotten the lock
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


def test_looking_makes_nothing(path: Path) -> None:
    """`is_held` and `holder` make neither a file nor a directory."""
    with open_at(path, write=False) as journal:
        assert not journal.is_held(TARGET)
        assert journal.holder(TARGET) is None
    assert not path.parent.exists()


def test_a_lease_without_its_row_is_given_back(path: Path) -> None:
    """When the epoch cannot be written, the lock is released: the next try gets it."""
    with open_at(path, write=True) as journal:
        with pytest.raises(ValueError, match="float"):
            journal.acquire(TARGET, "r1", process=Process(host="h", pid=1, started="soon"))  # type: ignore[arg-type]
        assert not journal.is_held(TARGET)
        with journal.acquire(TARGET, "r1") as lease:
            assert lease.epoch == 1
