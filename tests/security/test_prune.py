"""What `prune` removes: files that alma has made, and nothing that only stands beside them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

from tests.security.planting import SAGA

Cli = Callable[..., Result]

DIGEST = "ab" * 32


def test_only_snapshots_are_removed(tmp_path: Path, cli: Cli) -> None:
    """Of that name, and no links; neither is what a link leads to."""
    (tmp_path / "saga.py").write_text(SAGA)
    assert cli("up", "saga.py").exit_code == 0
    snapshots, mine = tmp_path / ".alma" / "snapshots", tmp_path / "mine.json.gz"
    snapshots.mkdir(exist_ok=True)
    mine.write_text("mine")
    kept = [
        "notes.json.gz",
        f"{DIGEST}.copy.json.gz",
        f"{DIGEST.upper()}.json.gz",
        "x" * 64 + ".json.gz",
    ]
    for name in (f"{DIGEST}.json.gz", *kept):
        (snapshots / name).write_text("x")
        os.utime(snapshots / name, (0, 0))
    link = snapshots / ("cd" * 32 + ".json.gz")
    link.symlink_to(mine)
    (snapshots / ("ef" * 32 + ".json.gz")).mkdir()
    os.utime(mine, (0, 0))
    os.utime(link, (0, 0), follow_symlinks=False)
    os.utime(snapshots / ("ef" * 32 + ".json.gz"), (0, 0))
    result = cli("prune", "--keep", "0")
    assert result.stdout == "1 snapshot removed\n", result.output
    assert not (snapshots / f"{DIGEST}.json.gz").exists()
    assert sorted(path.name for path in snapshots.iterdir()) == sorted(
        [*kept, link.name, "ef" * 32 + ".json.gz"]
    )
    assert mine.read_text() == "mine"


def test_a_directory_that_is_a_link_is_not_pruned(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "saga.py").write_text(SAGA)
    assert cli("up", "saga.py").exit_code == 0
    (tmp_path / "backup").mkdir()
    (tmp_path / "backup" / f"{DIGEST}.json.gz").write_text("x")
    os.utime(tmp_path / "backup" / f"{DIGEST}.json.gz", (0, 0))
    (tmp_path / ".alma" / "snapshots").symlink_to(tmp_path / "backup")
    cli("prune", "--keep", "0")
    assert (tmp_path / "backup" / f"{DIGEST}.json.gz").exists()
