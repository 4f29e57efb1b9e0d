"""Locks that are left by what is over: those of the journal's own dead processes go, no other."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from msgspec.structs import replace

from alma.core.event_parts import Gone
from alma.core.events import Process
from alma.pulumi.engine import StackRef
from alma.pulumi.left_locks import Known, holder_of
from alma.pulumi.locks import FileLocks
from alma.system.processes import HOST, PLACE

REF = StackRef(project="p", stack="dev")


@pytest.fixture
def living() -> Iterator[Process]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield Process(
            host=PLACE, pid=process.pid, started=psutil.Process(process.pid).create_time()
        )
        process.kill()


@pytest.fixture
def dead() -> Process:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        found = psutil.Process(process.pid).create_time()
    return Process(host=PLACE, pid=process.pid, started=found)


def locked(root: Path, *holders: tuple[str, int]) -> FileLocks:
    folder = root / ".pulumi" / "locks" / "organization" / "p" / "dev"
    folder.mkdir(parents=True)
    for number, (host, pid) in enumerate(holders):
        told = {"pid": pid, "username": "me", "hostname": host}
        lock = {**told, "timestamp": datetime.now(UTC).isoformat()}
        (folder / f"{number}.json").write_text(json.dumps(lock))
    return FileLocks(root=root, ref=REF)


async def test_the_lock_of_a_dead_process_that_the_journal_knows_goes(
    tmp_path: Path, dead: Process
) -> None:
    locks = locked(tmp_path, (HOST, dead.pid))
    assert await holder_of(locks, lambda: Known(processes=(dead,))) == ""
    assert list(await locks.look()) == []


async def test_beside_a_living_one_none_goes(
    tmp_path: Path, dead: Process, living: Process
) -> None:
    locks = locked(tmp_path, (HOST, dead.pid), (HOST, living.pid))
    told = await holder_of(locks, lambda: Known(processes=(dead, living)))
    assert f"(pid {living.pid})" in told
    assert len(await locks.look()) == 2


async def test_what_the_journal_does_not_know_stays(tmp_path: Path, dead: Process) -> None:
    """Nor what may be of a container or a host of this name: a pid proves nothing there."""
    locks = locked(tmp_path, (HOST, dead.pid))
    namesake = replace(dead, host=f"{HOST}#another-boot")
    for known in (Known(), Known(processes=(namesake,)), Known(processes=(dead, namesake))):
        await holder_of(locks, lambda known=known: known)  # type: ignore[misc]
        assert len(await locks.look()) == 1


async def test_another_hosts_goes_by_its_word_alone(tmp_path: Path, dead: Process) -> None:
    """And only what it locked while it was there: a later host may be of its name."""
    locks = locked(tmp_path, ("ci-7", dead.pid))
    there = replace(dead, host="ci-7#boot")
    assert "me@ci-7" in await holder_of(locks, lambda: Known(processes=(there,)))
    later = Gone(hosts=frozenset({"ci-7#boot"}), since=dead.started + 3600)
    assert "me@ci-7" in await holder_of(locks, lambda: Known(processes=(there,), gone=(later,)))
    before = Gone(hosts=frozenset({"ci-7#boot"}), until=dead.started - 3600)
    assert "me@ci-7" in await holder_of(locks, lambda: Known(processes=(there,), gone=(before,)))
    gone = Gone(hosts=frozenset({"ci-7#boot"}), since=dead.started)
    assert await holder_of(locks, lambda: Known(processes=(there,), gone=(gone,))) == ""
    assert list(await locks.look()) == []
