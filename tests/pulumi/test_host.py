"""The language host: nobody else reaches it, and no proxy of the environment comes between."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import stat
from pathlib import Path

import grpc
import pytest
from pulumi.runtime.proto import language_pb2, language_pb2_grpc

from alma.core.secret import Secret
from alma.pulumi.engine import RestoreRequest
from tests.pulumi import programs
from tests.pulumi.conftest import Place, until


def _exists(path: str) -> bool:
    return Path(path).exists()


def _mode(path: Path) -> int:
    return path.stat().st_mode


def _open(gate: str) -> None:
    Path(gate).touch()


@pytest.fixture
def gate(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a program waits for while its host is looked at, in a temporary directory of its own."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    return str(place.root / "gate")


CLIENT = re.compile(r"--client=unix:(\S+)")


async def test_a_program_is_served_where_nobody_else_can_look(place: Place, gate: str) -> None:
    """Whoever can read the CLI's arguments finds a path that is not theirs to open."""
    running = asyncio.create_task(place.up(programs.waits(gate)))
    await until(lambda: _exists(f"{gate}.begun"))
    (at,) = CLIENT.findall("\n".join(place.commands()))
    assert stat.S_ISSOCK(_mode(Path(at)))
    assert stat.S_IMODE(_mode(Path(at).parent)) == 0o700
    _open(gate)
    assert (await running).failure is None
    assert not _exists(str(Path(at).parent))
    assert "--exec-kind auto.inline" in place.commands()[-1]


async def test_nobody_is_answered_but_the_cli_that_was_started(place: Place, gate: str) -> None:
    """Who gets at the socket all the same, and asks with a monitor of their own, learns nothing."""
    config = {"word": Secret("of-secret")}
    running = asyncio.create_task(place.up(programs.waits(gate), config=config))
    await until(lambda: _exists(f"{gate}.begun"))
    (at,) = CLIENT.findall("\n".join(place.commands()))
    with socket.create_server(("127.0.0.1", 0)) as theirs:
        monitor = f"127.0.0.1:{theirs.getsockname()[1]}"
        request = language_pb2.RunRequest(project="demo", stack="dev", monitor_address=monitor)
        async with grpc.aio.insecure_channel(f"unix:{at}") as channel:
            host = language_pb2_grpc.LanguageRuntimeStub(channel)
            with pytest.raises(grpc.RpcError, match="is not of alma's CLI"):
                await host.Run(request, timeout=10)
    _open(gate)
    assert (await running).failure is None


async def test_a_long_place_for_temporary_files_is_not_used(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket's path has 107 bytes, and a directory of a CI's job may have more."""
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setenv("TMPDIR", str(long))
    assert (await place.up(programs.one)).failure is None


async def test_a_worker_that_ends_at_once_leaves_no_socket(
    place: Place, gate: str, tmp_path: Path
) -> None:
    running = asyncio.create_task(place.up(programs.waits(gate)))
    await until(lambda: _exists(f"{gate}.begun"))
    assert list((tmp_path / "tmp").glob("alma-host-*"))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await place.engine.close()
    await until(lambda: not list((tmp_path / "tmp").glob("alma-host-*")))
    _open(gate)
    await until(lambda: not place.live_locks())


async def test_a_killed_worker_s_socket_goes_with_the_next_run(
    place: Place, gate: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", None)
    operation = place.operation()
    request = place.request(programs.waits(gate), create=True)
    running = asyncio.create_task(place.engine.up(request, operation))
    await until(lambda: _exists(f"{gate}.begun"))
    os.kill(place.worker(operation).pid, signal.SIGKILL)
    _open(gate)
    assert (await running).failure is not None
    assert list((tmp_path / "tmp").glob("alma-host-*"))
    await place.engine.check()
    assert not list((tmp_path / "tmp").glob("alma-host-*"))


async def test_no_proxy_comes_between(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that alma starts talks to itself on this machine: engine, program, provider, replay."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        dead = f"http://127.0.0.1:{unused.getsockname()[1]}"
    for name in ("http_proxy", "https_proxy", "grpc_proxy", "all_proxy"):
        monkeypatch.setenv(name, dead)
        monkeypatch.setenv(name.upper(), dead)
    monkeypatch.setenv("NO_PROXY", "example.com")
    config = {"word": Secret("of-secret"), "plain": "of a dynamic provider's inputs"}
    assert (await place.up(programs.one, config=config)).failure is None
    document = await place.engine.export(place.ref())
    assert document is not None
    assert (await place.up(programs.two)).failure is None
    request = RestoreRequest(ref=place.ref(), document=document, log_dir=str(place.logs()))
    restored = await place.engine.restore(request, place.operation())
    assert (restored.failure, restored.different) == (None, ())
    assert (await place.destroy()).failure is None
    assert os.environ["NO_PROXY"] == "example.com"
