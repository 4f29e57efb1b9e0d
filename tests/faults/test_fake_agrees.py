"""One schedule through the fake, the stub and the real CLI: they leave the same behind.

This is what the model and the kills in volume rest on: where a fake is kinder than Pulumi, they
would show nothing.
"""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from alma.pulumi.local import PulumiEngine
from alma.testing import FakeEngine
from tests.faults.arenas import (
    REF,
    Arena,
    CliArena,
    FakeArena,
    RealArena,
    Shape,
    StubArena,
    Trouble,
)
from tests.faults.stub.bench import install

pytestmark = pytest.mark.lives

THREE = ("r0", "r1", "r2")


@pytest.fixture
async def arenas(tmp_path: Path, pulumi_cli: Path) -> AsyncIterator[list[Arena]]:
    """The same three times, each in a directory of its own; the fake comes first."""
    made: list[Any] = [FakeArena(FakeEngine(), _directory(tmp_path / "fake"))]
    tools = _directory(tmp_path / "bin")
    install(tools)
    for kind, folder in ((StubArena, tools), (RealArena, pulumi_cli.parent)):
        root = _directory(tmp_path / kind.__name__)
        for part in ("world/things", "world/pids"):
            _directory(root / part)
        environ = {
            "PATH": f"{folder}:{pulumi_cli.parent}:/usr/bin:/bin",
            "HOME": str(root),
            "PULUMI_HOME": str(root / "home"),
            "STUB_WORLD": str(root / "world"),
        }
        made.append(kind(PulumiEngine(cwd=root, environ=environ), root))
    yield made
    for arena in made:
        if isinstance(arena, CliArena):
            arena.open_gate()  # a CLI that a failed test has left there would wait for ever
        await arena.engine.close()


def _directory(path: Path) -> Path:
    path.mkdir(parents=True)
    path.chmod(stat.S_IRWXU)
    return path


async def _up(arena: Arena) -> list[Shape]:
    """Made, made again, changed, destroyed, removed, and once more of each."""
    shapes = [await arena.up(THREE), await arena.up(THREE), await arena.up(("r1", "r3"))]
    shapes += [await arena.remove(), await arena.destroy(), await arena.destroy()]
    return [*shapes, await arena.remove(), await arena.remove()]


async def _fails(arena: Arena) -> list[Shape]:
    """A provider refuses: what came before it stays, and goes with a destroy."""
    shapes = [await arena.up(THREE, Trouble(at=1, what="fail")), await arena.up(THREE)]
    return [*shapes, await arena.destroy(), await arena.remove()]


async def _interrupted(arena: Arena) -> list[Shape]:
    """One signal: the resource in flight is recorded, the next is not begun."""
    return [await arena.up(THREE, Trouble(at=1, what="interrupt")), await arena.destroy()]


async def _killed(arena: Arena) -> list[Shape]:
    """The CLI is killed: the state only says that a create was begun, destroy or not."""
    shapes = [await arena.up(THREE, Trouble(at=1, what="kill"))]
    await arena.engine.reconcile(REF, arena.operation_id, ())
    return [*shapes, await arena.destroy(), await arena.remove()]


@pytest.mark.parametrize("schedule", [_up, _fails, _interrupted, _killed], ids=lambda s: s.__name__)
async def test_they_leave_the_same(arenas: list[Arena], schedule: Any) -> None:
    fake, stub, real = [await schedule(arena) for arena in arenas]
    assert fake == real
    assert stub == real
    assert arenas[0].told == arenas[2].told
