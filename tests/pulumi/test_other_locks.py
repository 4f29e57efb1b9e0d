"""Locks of backends that are no directory: a bucket on LocalStack, and Postgres."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from alma.core.events import Process
from alma.errors import RefusedError
from alma.pulumi import performing, recovery
from alma.pulumi.backend import Backend
from alma.pulumi.cli import PulumiCli, find_cli
from alma.pulumi.engine import StackRef
from alma.pulumi.local import PulumiEngine
from alma.pulumi.locks import Lock, told_locks
from alma.system import processes
from tests.pulumi import programs
from tests.pulumi.conftest import Place, environment, python, until
from tests.pulumi.test_crashes import RUNNER
from tests.services.localstack import LocalStack

SAGA = """
import sys
from alma import Saga
from tests.pulumi import programs

saga = Saga("demo")
saga.add_stack("slow", programs.waits("gate"), resolver=lambda create: None)
"""


def _killed(*arguments: str, gate: Path) -> list[str]:
    """What a runner said until it was killed in the middle of the create at its gate."""
    with subprocess.Popen(
        python(*arguments), env=environment(), stdout=subprocess.PIPE, text=True
    ) as runner:
        deadline = time.monotonic() + 300
        while not Path(f"{gate}.begun").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        runner.kill()
        return list(runner.stdout or ())


def _alma(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        python("-m", "alma", *words),
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture
def bucket(localstack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> str:
    """State in a bucket."""
    name = f"state-{uuid4().hex[:12]}"
    localstack.client("s3").create_bucket(Bucket=name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    url = f"s3://{name}?endpoint={localstack.url}&s3ForcePathStyle=true&region={localstack.region}"
    monkeypatch.setenv("PULUMI_BACKEND_URL", url)
    return url


@pytest.mark.usefixtures("bucket")
async def test_a_dead_holders_lock_in_a_bucket_goes_only_where_the_journal_knows_it(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hosts of one name share a bucket: that nobody here has its pid proves nothing alone."""
    gate = directory / "gate"
    (directory / "runner.py").write_text(RUNNER)
    told = [json.loads(line) for line in _killed("runner.py", str(gate), gate=gate) if line.strip()]
    journaled = tuple(Process(host=host, pid=pid, started=at) for _, host, pid, at in told)
    *_, cli = [pid for role, _, pid, _ in told if role == "cli"]
    psutil.Process(cli).kill()
    gate.touch()
    monkeypatch.setattr(recovery, "_PLUGINS_GO", 0.5)
    ref, engine = StackRef(project="demo", stack="dev"), PulumiEngine()
    try:
        with pytest.raises(RefusedError, match=rf"locked by .*\(pid {cli}\)") as refused:
            await engine.reconcile(ref, "op-killed", ())
        assert "`pulumi cancel --stack dev`" in refused.value.hint
        assert f"(pid {cli})" in await engine.holder(ref)
        found = (await engine.reconcile(ref, "op-killed", journaled)).found
        assert f"(pid {cli})" in found
        assert "broke the lock" in found
        assert await engine.holder(ref) == ""
    finally:
        await engine.close()


@pytest.mark.services
def test_a_run_that_was_killed_over_postgres_is_undone(
    directory: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Doctor names the lock, and the password is nowhere."""
    monkeypatch.setenv("PULUMI_BACKEND_URL", database)
    gate = directory / "gate"
    (directory / "saga.py").write_text(SAGA)
    said = _killed("-m", "alma", "up", gate=gate)
    assert "state in postgres://pulumi:[secret]@127.0.0.1" in said[0]
    events = json.loads(_alma("history", "latest", "--json").stdout)
    spawned = [event for event in events if event["type"] == "ProcessSpawned"]
    *_, cli = [event["process"]["pid"] for event in spawned if event["role"] == "cli"]
    psutil.Process(cli).kill()
    gate.touch()
    doctor = _alma("doctor").stdout
    assert "stack demo-slow/dev is locked by" in doctor
    assert f"(pid {cli})" in doctor
    undone = _alma("rollback", "latest")
    assert undone.returncode == 4, undone.stdout + undone.stderr
    assert "pulumi:pw@" in database
    kept = b"".join(path.read_bytes() for path in directory.glob(".alma/journal.db*"))
    assert b"pulumi:pw@" not in kept


def test_a_lock_is_a_processs_by_pid_place_and_time() -> None:
    """Of a pid that was given anew, and of another host or container of this name, it is not."""
    lock = Lock(place="?", pid=7, user="me", host=processes.HOST, at=datetime.now(UTC))
    at = lock.at.timestamp()

    def known(pid: int = 7, host: str = processes.PLACE, started: float = at - 5) -> list[Process]:
        return [Process(host=host, pid=pid, started=started)]

    assert lock.is_of(known())
    assert not lock.is_of([])
    assert not lock.is_of(known(pid=8))
    assert not lock.is_of(known(host=f"{processes.HOST}#0-1"))
    assert not lock.is_of(known(host=processes.HOST))
    assert not lock.is_of(known(started=at + 60))


# -- two at once -------------------------------------------------------------------------------


@pytest.fixture
def plant(directory: Path) -> Callable[[], Path]:
    """Lock the stack, as somebody who has just begun."""

    def planted() -> Path:
        folder = directory / ".alma/state/.pulumi/locks/organization/demo/dev"
        folder.mkdir(parents=True, exist_ok=True)
        lock = folder / "00000000-0000-0000-0000-000000000000.json"
        content = {
            "pid": os.getpid(),
            "username": "somebody",
            "hostname": processes.HOST,
            "timestamp": datetime.now(UTC).isoformat(),
        }
        lock.write_text(json.dumps(content))
        return lock

    return planted


def test_what_the_cli_says_of_locks() -> None:
    """One that cannot be read is there all the same, and of nobody."""
    said = (
        "error: the stack is currently locked by 3 lock(s). Either wait for the other process(es) "
        "to end or delete the lock file with `pulumi cancel`.\n"
        "  s3://b/.pulumi/locks/organization/p/dev/a.json?x=1: created by me@corp@host (pid 7) "
        "at 2026-01-31T14:25:01Z\n"
        "  postgres://****:****@h/b.json: created by you@other (pid 8) "
        "at 2026-01-31T14:25:01+02:00\n"
        "  something else\n"
    )
    one, two, unknown = told_locks(said)
    assert (one.user, one.host, one.pid) == ("me@corp", "host", 7)
    assert one.at == datetime(2026, 1, 31, 14, 25, 1, tzinfo=UTC)
    assert (two.user, two.host, two.pid) == ("you", "other", 8)
    assert not unknown.is_proven_dead()
    assert told_locks("error: something else") == []


async def test_an_operation_that_another_has_just_met_is_tried_again(
    place: Place, plant: Callable[[], Path]
) -> None:
    """Each has seen the other's lock, and let go of its own."""
    await place.up(programs.nothing)
    lock = plant()
    running = asyncio.create_task(place.up(programs.one))
    refused = await until(
        lambda: [log for log in place.root.rglob("pulumi.log") if "locked by" in log.read_text()]
    )
    lock.unlink()
    assert (await running).failure is None
    assert len(refused) == 1
    tries = [line for line in place.commands() if line.split()[1:2] == ["up"]]
    assert len(tries) > 2


async def test_an_operation_is_not_tried_for_ever(
    place: Place, plant: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody stays at work, and is named."""
    monkeypatch.setattr(performing, "TRIES", 2)
    await place.up(programs.nothing)
    plant()
    result = await place.up(programs.one)
    assert result.failure is not None
    assert result.failure.kind == "locked"
    assert "somebody" in result.failure.message
    tries = [line for line in place.commands() if line.split()[1:2] == ["up"]]
    assert len(tries) == 1 + 2


# -- one that goes as it is looked at ----------------------------------------------------------


@pytest.fixture
def going(directory: Path) -> Callable[..., Path]:
    """Leave a lock that is listed, and is not there when it is read."""

    def left(stack: str = "dev") -> Path:
        folder = directory / ".alma/state/.pulumi/locks/organization/demo" / stack
        folder.mkdir(parents=True, exist_ok=True)
        lock = folder / "00000000-0000-0000-0000-000000000000.json"
        lock.symlink_to("/not/there")
        return lock

    return left


def _asked(place: Place, words: str) -> list[str]:
    return [line for line in place.commands() if line.partition(" ")[2].startswith(f"{words} ")]


async def test_an_operation_that_failed_for_such_a_lock_is_tried_again(
    place: Place, going: Callable[..., Path]
) -> None:
    """One that makes its stack first, and one whose stack is there."""
    for command, create in (("stack init", True), ("up", False)):
        lock, before = going(), len(_asked(place, command))
        running = asyncio.create_task(place.up(programs.one, create=create))
        await until(lambda c=command, n=before: len(_asked(place, c)) > n + 1)  # type: ignore[misc]
        lock.unlink()
        assert (await running).failure is None


async def test_so_is_what_the_cli_is_asked_directly(
    place: Place, going: Callable[..., Path]
) -> None:
    """As where two runs see at once that they can write to a bucket."""
    await place.up(programs.one, create=True)
    backend = Backend.choose(place.root, os.environ)
    reader = PulumiCli(cli=find_cli().path, environment=backend.environment(os.environ))
    for ask in (reader.prove_writable, reader.refusal):
        lock, before = going(), len(_asked(place, "stack rename"))
        asking = asyncio.create_task(ask(place.ref()))
        await until(lambda n=before: len(_asked(place, "stack rename")) > n + 1)  # type: ignore[misc]
        lock.unlink()
        assert not await asking


async def test_one_that_can_never_be_read_is_told(place: Place, going: Callable[..., Path]) -> None:
    """After a few tries; nothing was begun."""
    await place.up(programs.nothing)
    for stack, create in (("dev", False), ("other", True)):
        lock = going(stack)
        result = await place.up(programs.one, stack=stack, create=create)
        lock.unlink()
        assert result.failure is not None
        assert result.failure.kind == "locked"
        assert "NotFound" in result.failure.message
        assert not result.began
