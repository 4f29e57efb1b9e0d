"""Creates that nobody saw the end of, with the real CLI: resolved, or named, never clean."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from pulumi.dynamic import CreateResult, Resource, ResourceProvider

from alma import PendingCreate, Saga, SagaState
from alma.core.result import Result, SagaEndedError
from alma.pulumi import recovery
from alma.runner import up
from alma.runner.doctor import examine
from alma.runner.settings import Settings
from tests.pulumi.conftest import until
from tests.runner.helpers import ended

pytestmark = pytest.mark.lives


class FileProvider(ResourceProvider):
    """The world is a directory: a file each. A create waits for `gate` before it makes it."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Say that it has begun, wait, make the file."""
        path, gate = Path(props["path"]), Path(props["gate"])
        Path(f"{path}.pid").write_text(str(os.getpid()))
        deadline = time.monotonic() + 300
        while not gate.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        path.write_text("made")
        return CreateResult(str(path), dict(props))

    def delete(self, id: str, props: dict[str, Any]) -> None:  # noqa: A002, ARG002 - Pulumi's names
        """Remove the file."""
        Path(id).unlink(missing_ok=True)


class File(Resource):
    """A file in the world."""

    def __init__(self, name: str, path: Path, gate: Path) -> None:
        super().__init__(FileProvider(), name, {"path": str(path), "gate": str(gate)})


class World:
    """One saga of one stack with one slow file, and a way to kill what makes it."""

    def __init__(self, root: Path, resolver: Any = None) -> None:
        self.made, self.gate = root / "made", root / "gate"
        made, gate = self.made, self.gate
        self.saga = Saga("lost")
        self.saga.add_stack("files", program=lambda: File("slow", made, gate), resolver=resolver)

    async def run(self, kill: Any) -> Result:
        """Bring it up, and call `kill(pid of the plugin)` in the middle of the create."""
        run = asyncio.create_task(up(self.saga, settings=Settings(grace=1.0)))
        note = Path(f"{self.made}.pid")
        await until(note.exists)
        kill(int(await until(note.read_text)))
        try:
            return await run
        except SagaEndedError as error:
            return error.result

    def kill_cli(self, plugin: int) -> None:
        """Only the CLI dies: its plugin goes on and makes the file."""
        cli = next(p for p in psutil.Process(plugin).parents() if p.name() == "pulumi")
        cli.send_signal(signal.SIGKILL)
        self.gate.touch()


def contents(directory: Path) -> dict[Path, bytes]:
    """Every file below it."""
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def kill_plugin(plugin: int) -> None:
    """Only the provider dies, in the middle of its create."""
    os.kill(plugin, signal.SIGKILL)


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers and plugins import this module by name."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    # These creates end at once when their gate opens: no need to wait longer for their plugin.
    monkeypatch.setattr(recovery, "_PLUGINS_GO", 2.0)


async def test_a_pending_create_is_named_when_nobody_can_resolve_it(directory: Path) -> None:
    """The CLI was killed: FAILED, with the resource's URN; the file is there, and alma knows."""
    world = World(directory)
    result = await world.run(world.kill_cli)
    assert result.state is SagaState.FAILED
    assert [left.urn.rpartition("::")[2] for left in result.leftovers] == ["slow"]
    assert "creating" in result.leftovers[0].reason


async def test_a_pending_create_that_happened_is_found_and_undone(directory: Path) -> None:
    """The resolver gives its id, the state is mended, the destroy deletes it."""
    asked: list[PendingCreate] = []

    def resolver(create: PendingCreate) -> str | None:
        asked.append(create)
        path = str(create.inputs["path"])
        deadline = time.monotonic() + 300
        while not Path(path).exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        return path if Path(path).exists() else None

    world = World(directory, resolver)
    result = await world.run(world.kill_cli)
    assert [create.name for create in asked] == ["slow"]
    assert result.leftovers == ()
    assert result.state is SagaState.COMPENSATED
    assert not world.made.exists()


async def test_a_resolver_that_cannot_tell_leaves_it_named(directory: Path) -> None:
    """Whatever it raises, it is no proof."""

    def resolver(create: PendingCreate) -> None:
        raise ConnectionError(f"no answer about {create.name}")

    world = World(directory, resolver)
    result = await world.run(world.kill_cli)
    assert result.state is SagaState.FAILED
    assert [left.urn.rpartition("::")[2] for left in result.leftovers] == ["slow"]


async def test_a_create_whose_provider_was_lost_is_named(directory: Path) -> None:
    """The state is empty and says nothing of it: only the events do."""
    result = await World(directory).run(kill_plugin)
    assert result.state is SagaState.FAILED
    (left,) = result.leftovers
    assert left.urn.endswith("::slow")
    assert "provider was lost" in left.reason


async def test_a_lost_create_that_is_seen_not_to_exist_is_clean(directory: Path) -> None:
    """The resolver looks, and there is nothing."""
    world = World(directory, lambda create: None)  # noqa: ARG005 - asked, and sure
    result = await world.run(kill_plugin)
    assert result.state is SagaState.COMPENSATED
    assert not world.made.exists()


async def test_doctor_names_what_stands_in_doubt_and_touches_nothing(directory: Path) -> None:
    """A create that was cut off, by its stack and URN."""
    await (world := World(directory)).run(world.kill_cli)
    before = contents(directory)
    checks = await examine(directory / ".alma" / "journal.db", cwd=directory)
    (found,) = [check for check in checks if check.name == "pending"]
    assert found.level == "warn"
    assert found.message.endswith("::slow")
    assert contents(directory) == before


class RemoteProvider(FileProvider):
    """Its service has made the file; then the connection ends before the answer."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Make it and lose the answer, as often as told."""
        Path(props["path"]).write_text("made")
        raise ConnectionResetError(104, "Connection reset by peer")


class Remote(Resource):
    """A file behind a connection."""

    def __init__(self, name: str, path: Path) -> None:
        super().__init__(RemoteProvider(), name, {"path": str(path)})


@pytest.mark.parametrize("looks", [False, True])
async def test_a_create_whose_answer_was_lost_is_never_clean(directory: Path, looks: bool) -> None:
    """The state knows nothing of it, the service has it: named, unless a resolver looks."""
    made, asked = directory / "made", set[str]()

    def resolver(create: PendingCreate) -> str | None:
        asked.add(create.name)
        made.unlink(missing_ok=True)
        return None

    saga = Saga("remote")
    saga.add_stack(
        "files", program=lambda: Remote("far", made), resolver=resolver if looks else None
    )
    result = await ended(up(saga, settings=Settings()))
    if looks:
        assert result.state is SagaState.COMPENSATED
        assert asked == {"far"}
        return
    assert result.state is SagaState.FAILED
    assert [left.urn.rpartition("::")[2] for left in result.leftovers] == ["far"]
    assert "answer" in result.leftovers[0].reason
