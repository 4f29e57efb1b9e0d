"""How much memory there is, and how many operations a worker makes by default."""

from __future__ import annotations

from pathlib import Path

import pytest

from alma.runner.temporal.room import MOST, operations_here
from alma.system.memory import memory_limit

GIB = 2**30


def written(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_machine_without_limits_has_its_own(tmp_path: Path) -> None:
    written(tmp_path / "own", "0::/\n")
    written(tmp_path / "groups/memory.max", "max\n")
    whole = memory_limit(tmp_path / "groups", tmp_path / "own")
    assert whole == memory_limit(tmp_path / "groups", tmp_path / "none")
    assert whole > GIB / 4


@pytest.mark.parametrize(
    ("group", "file"),
    [
        ("0::/system.slice/alma.service", "system.slice/alma.service/memory.max"),
        ("0::/system.slice/alma.service", "system.slice/memory.max"),
        ("0::/", "memory.max"),
        ("5:cpu:/\n4:memory:/docker/1f", "memory/docker/1f/memory.limit_in_bytes"),
        ("5:cpu:/\n4:memory:/docker/1f", "memory/memory.limit_in_bytes"),
    ],
)
def test_a_container_or_a_service_has_what_it_is_given(
    tmp_path: Path, group: str, file: str
) -> None:
    """The group itself, one that it is in, or the root of what a container sees."""
    written(tmp_path / "own", group + "\n")
    written(tmp_path / "groups" / file, str(GIB // 8))
    assert memory_limit(tmp_path / "groups", tmp_path / "own") == GIB // 8


@pytest.mark.parametrize(("memory", "room"), [(GIB // 8, 1), (GIB, 2), (64 * GIB, MOST)])
def test_a_worker_makes_as_many_operations_as_there_is_room_for(memory: int, room: int) -> None:
    assert operations_here(memory) == room
