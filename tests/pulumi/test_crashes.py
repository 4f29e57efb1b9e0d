"""Interrupts, deadlines, cancelled tasks, dead runners, and the locks that they leave."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from alma.core.event_parts import Gone
from alma.core.events import Process
from alma.errors import RefusedError
from alma.pulumi import recovery
from alma.pulumi.family import marked_programs
from alma.pulumi.local import PulumiEngine
from alma.system import processes
from tests.pulumi import programs
from tests.pulumi.conftest import Place, environment, python, until


def _spawn(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(python(*arguments), **options)


def _names(checkpoint: Any) -> set[str]:
    return {resource.urn.rsplit("::", 1)[1] for resource in checkpoint.resources}


async def test_an_interrupt_drains_and_releases_the_lock(place: Place) -> None:
    """One SIGINT: what is in flight is finished and recorded, nothing new begins."""
    gate, operation, running = await place.waiting()
    assert place.live_locks()
    operation.interrupt.set()
    await until(lambda: place.signals)
    gate.touch()
    result = await running
    assert place.signals == [("SIGINT", "interrupt")]
    assert result.failure is not None
    assert result.failure.kind == "cancelled"
    checkpoint = await place.engine.inspect(place.ref())
    assert "slow" in _names(checkpoint)
    assert "after" not in _names(checkpoint)
    assert not checkpoint.pending
    assert not place.live_locks()


async def test_an_interrupt_before_the_start_starts_nothing(place: Place) -> None:
    """No process at all."""
    operation = place.operation()
    operation.interrupt.set()
    result = await place.engine.up(place.request(programs.one, create=True), operation)
    assert result.failure is not None
    assert result.failure.kind == "cancelled"
    assert not any("up" in line.split() for line in place.commands())


async def test_a_deadline_interrupts_then_kills_what_hangs(place: Place) -> None:
    """The CLI and its plugins are gone; the state still says what was under way."""
    gate, operation, running = await place.waiting(timeout=15.0, grace=0.5)
    result = await running
    assert [signal for signal, _ in place.signals] == ["SIGINT", "SIGKILL"]
    assert {why for _, why in place.signals} == {"deadline"}
    assert result.failure is not None
    assert result.failure.kind == "timeout"
    assert not marked_programs(operation.id)
    checkpoint = await place.engine.inspect(place.ref())
    assert [(p.kind, p.urn.rsplit("::", 1)[1]) for p in checkpoint.pending] == [
        ("creating", "slow")
    ]
    assert not checkpoint.is_empty

    # Its lock is gone with it, but a destroy cannot undo what the state only suspects.
    assert "broke the lock" in result.failure.hint
    assert not place.live_locks()
    assert (await place.destroy()).failure is None
    left = await place.engine.inspect(place.ref())
    assert not [one for one in left.resources if not one.type.startswith("pulumi:providers:")]
    assert left.pending
    assert not left.is_empty
    removed = await place.engine.remove(place.ref(), str(place.logs()), place.operation())
    assert removed.failure is not None
    gate.touch()

    # What it needs is still there, so that what became of it can be taken in, and undone.
    (slow,) = left.pending
    await place.engine.resolve_pending(place.ref(), {slow.urn: "slow"}, place.operation())
    assert (await place.destroy()).failure is None
    assert (await place.engine.inspect(place.ref())).is_empty


async def test_a_program_that_hangs_is_ended_at_its_deadline(place: Place) -> None:
    """It hangs in alma's own process, where no signal of the CLI's reaches it."""
    import time

    def program() -> None:
        time.sleep(60)

    operation = place.operation(timeout=2.0, grace=2.0)
    result = await place.engine.up(place.request(program, create=True), operation)
    assert result.failure is not None
    assert result.failure.kind == "timeout"
    assert not place.live_locks() or place.signals[-1][0] == "SIGKILL"


async def test_a_cancelled_task_leaves_a_cli_that_drains(place: Place) -> None:
    """The worker is gone at once; nobody signals the CLI."""
    gate, operation, running = await place.waiting()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    cli = processes.find(place.cli(operation))
    assert cli is not None
    await until(lambda: processes.find(place.worker(operation)) is None)
    assert cli.is_running()
    assert place.signals == []
    reconciling = asyncio.create_task(place.engine.reconcile(place.ref(), operation.id, ()))
    gate.touch()
    reconciled = await reconciling
    assert f"pid {cli.pid}" in reconciled.found
    checkpoint = await place.engine.inspect(place.ref())
    assert "slow" in _names(checkpoint)
    assert not checkpoint.pending
    assert not place.live_locks()


RUNNER = """
import asyncio, json, sys
from alma.pulumi.local import PulumiEngine
from alma.pulumi.engine import StackRef, UpRequest
from alma.core.operation import Operation
from alma.pulumi.programs import serialize_program
from tests.pulumi import programs

def told(role, process):
    print(json.dumps([role, process.host, process.pid, process.started]), flush=True)

async def main():
    engine = PulumiEngine()
    operation = Operation(id="op-killed", interrupt=asyncio.Event(), on_process=told)
    program = serialize_program(programs.waits(sys.argv[1]), by_value=[programs])
    request = UpRequest(ref=StackRef(project="demo", stack="dev"), program=program, create=True,
                        log_dir="logs/killed")
    await engine.up(request, operation)

asyncio.run(main())
"""


async def test_a_killed_runner_leaves_a_cli_that_drains_and_settle_waits(place: Place) -> None:
    """kill -9 in the middle of a create: it is finished and recorded, and the lock is gone."""
    gate = place.root / "gate"
    script = place.root / "runner.py"
    script.write_text(RUNNER)
    with _spawn(str(script), str(gate), env=environment(), stdout=subprocess.PIPE) as runner:
        await until(Path(f"{gate}.begun").exists)
        runner.kill()
        told = [json.loads(line) for line in (runner.stdout or ()) if line.strip()]
    journaled = tuple(Process(host=host, pid=pid, started=at) for _, host, pid, at in told)
    assert place.live_locks()
    reconciling = asyncio.create_task(place.engine.reconcile(place.ref(), "op-killed", journaled))
    done, _ = await asyncio.wait({reconciling}, timeout=0.3)
    assert not done
    gate.touch()
    reconciled = await reconciling
    assert reconciled.evidence["waited_for"]
    checkpoint = await place.engine.inspect(place.ref())
    assert "slow" in _names(checkpoint)
    assert not checkpoint.pending
    assert not place.live_locks()
    assert not marked_programs("op-killed")
    assert (await place.up(programs.waits(str(gate)))).failure is None


async def test_a_killed_cli_is_told_and_its_lock_is_broken(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runner lives: the operation fails, and what was in flight is pending in the state."""
    monkeypatch.setattr(recovery, "_PLUGINS_GO", 0.5)
    _, operation, running = await place.waiting()
    psutil.Process(place.cli(operation).pid).kill()
    result = await running
    assert result.failure is not None
    assert "signal 9" in result.failure.message
    assert "broke the lock" in result.failure.hint
    assert not marked_programs(operation.id)
    assert (await place.engine.inspect(place.ref())).pending
    assert not place.live_locks()


async def test_what_a_resource_is_survives_the_end_of_its_plugin(place: Place) -> None:
    """A server that a provider started has inherited the marker, and must not be ended."""
    env = {**os.environ, "ALMA_OPERATION": "op"}
    with _spawn("-c", "input()", env=env, stdin=subprocess.PIPE) as server:
        assert marked_programs("op") == []
        await place.engine.reconcile(place.ref(), "op", ())
        assert server.poll() is None
        server.communicate(b"\n")


def _plant(place: Place, *, pid: int, host: str, at: str = "2036-01-01T00:00:00Z") -> Path:
    folder = place.root / ".alma/state/.pulumi/locks/organization/demo/dev"
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / "00000000-0000-0000-0000-000000000000.json"
    content = {"pid": pid, "username": "somebody", "hostname": host, "timestamp": at}
    lock.write_text(json.dumps(content))
    return lock


def _dead_pid() -> int:
    with subprocess.Popen(python("-c", "")) as process:
        process.wait()
    return process.pid


async def test_a_lock_of_a_dead_process_is_broken(place: Place) -> None:
    """Same host and nobody has its pid."""
    lock = _plant(place, pid=_dead_pid(), host=processes.HOST)
    reconciled = await place.engine.reconcile(place.ref(), "op", ())
    assert "somebody" in reconciled.found
    assert not lock.exists()


async def test_a_lock_older_than_the_process_with_its_pid_is_broken(place: Place) -> None:
    """The pid was given to another process meanwhile."""
    lock = _plant(place, pid=os.getpid(), host=processes.HOST, at="2001-01-01T00:00:00.1234567Z")
    await place.engine.reconcile(place.ref(), "op", ())
    assert not lock.exists()


async def test_a_lock_with_the_pid_of_a_live_cli_stands_whatever_the_clock(place: Place) -> None:
    """After the clock was set forth, the holder itself seems to have started after its lock."""
    gate, operation, running = await place.waiting()
    (lock,) = place.live_locks()
    content = json.loads(lock.read_text())
    lock.write_text(json.dumps({**content, "timestamp": "2001-01-01T00:00:00Z"}))
    with pytest.raises(RefusedError, match=f"pid {place.cli(operation).pid}"):
        await place.engine.reconcile(place.ref(), "another operation", ())
    gate.touch()
    assert (await running).failure is None


@pytest.mark.parametrize("host", [processes.HOST, "another-host"])
async def test_a_lock_that_may_be_held_is_refused_by_name(place: Place, host: str) -> None:
    """Alive here, or out of sight elsewhere."""
    lock = _plant(place, pid=os.getpid(), host=host)
    with pytest.raises(RefusedError, match=rf"somebody@{host} \(pid {os.getpid()}\)"):
        await place.engine.reconcile(place.ref(), "op", ())
    assert lock.exists()


async def test_a_lock_of_a_host_that_is_gone_is_broken_and_no_other(place: Place) -> None:
    """By its name, and not where it is older than the operation: hosts may be of one name."""
    there = Process(host="ci-1#boot-1", pid=7, started=0.0)
    of = {"since": datetime(2036, 1, 1, tzinfo=UTC).timestamp()}
    gone = Gone(hosts=frozenset({there.host}), **of)
    lock = _plant(place, pid=7, host="ci-1")
    with pytest.raises(RefusedError, match="somebody@ci-1") as refused:
        await place.engine.reconcile(place.ref(), "op", (there,))
    assert "--host-is-gone" in refused.value.hint
    for other in ({"host": "ci-2"}, {"host": "ci-1", "at": "2035-12-31T23:00:00Z"}):
        _plant(place, pid=7, **other)
        with pytest.raises(RefusedError, match="is locked by"):
            await place.engine.reconcile(place.ref(), "op", (there,), gone)
    _plant(place, pid=7, host="ci-1")
    reconciled = await place.engine.reconcile(place.ref(), "op", (there,), gone)
    assert "broke the lock of somebody@ci-1" in reconciled.found
    assert not lock.exists()
    # A host of that name is here, and this process is at work on it.
    lock = _plant(place, pid=os.getpid(), host=processes.HOST, at=datetime.now(UTC).isoformat())
    namesake = Gone(hosts=frozenset({f"{processes.HOST}#boot-1"}))
    with pytest.raises(RefusedError, match="is locked by"):
        await place.engine.reconcile(place.ref(), "op", (), namesake)
    assert lock.exists()


async def test_a_lock_that_cannot_be_read_is_refused(place: Place) -> None:
    """Nothing is proven about its holder."""
    lock = _plant(place, pid=1, host="x")
    lock.write_text("{")
    with pytest.raises(RefusedError):
        await place.engine.reconcile(place.ref(), "op", ())


async def test_a_locked_stack_fails_as_locked(place: Place) -> None:
    """The CLI exits with 1 as for anything else."""
    await place.up(programs.one)
    _plant(place, pid=os.getpid(), host=processes.HOST)
    result = await place.up(programs.two)
    assert result.failure is not None
    assert result.failure.kind == "locked"
    assert "somebody" in result.failure.message


@pytest.mark.usefixtures("place")
async def test_closing_leaves_no_process() -> None:
    """Idle workers end with their engine."""
    others = psutil.Process().children(recursive=True)
    engine = PulumiEngine()
    await engine.check()
    children = set(psutil.Process().children(recursive=True)) - set(others)
    assert children
    await engine.close()
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


async def test_a_lock_of_another_namespace_is_not_broken(place: Place) -> None:
    """Two containers of one host name: that the pid is not here proves nothing."""
    await place.up(programs.nothing)
    pid = _dead_pid()
    lock = _plant(place, pid=pid, host=processes.HOST)
    there = Process(host=f"{processes.HOST}#00000000-1", pid=pid, started=0.0)
    with pytest.raises(RefusedError, match="locked") as refused:
        await place.engine.reconcile(place.ref(), "op", (there,))
    assert "container" in refused.value.hint
    assert lock.exists()
    here = Process(host=processes.PLACE, pid=pid, started=0.0)
    await place.engine.reconcile(place.ref(), "op", (here,))
    assert not lock.exists()


@pytest.mark.parametrize(
    ("host", "here"),
    [
        (processes.PLACE, True),
        (processes.HOST, True),  # an older journal's
        (f"{processes.HOST}#00000000-1", False),  # another namespace, or another boot
        ("another-host", False),
    ],
)
def test_a_process_is_looked_for_only_where_it_was(host: str, here: bool) -> None:
    """What is of another namespace is of another host: nobody here can tell whether it lives."""
    gone = Process(host=host, pid=_dead_pid(), started=0.0)
    assert processes.may_live(gone) is not here
    me = processes.this_process()
    assert (processes.find(Process(host=host, pid=me.pid, started=me.started)) is not None) is here
    assert gone.machine in (processes.HOST, "another-host")
