"""`alma-pulumi`, as processes of their own, several side by side."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).parents[3]
T = TypeVar("T")


@dataclass(frozen=True)
class Ended:
    """What a command ended with."""

    code: int
    document: dict[str, Any]
    stderr: str


def up(directory: Path, saga: str, **environment: str) -> Ended:
    """`alma-pulumi up --json` of a saga's text in a directory of its own."""
    directory.mkdir()
    (directory / "saga.py").write_text(saga)
    done = subprocess.run(
        [sys.executable, "-m", "alma", "up", "--json"],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    return Ended(done.returncode, json.loads(done.stdout or "{}"), done.stderr)


def side_by_side(run: Callable[[T], Ended], cases: Iterable[T]) -> Mapping[T, Ended]:
    """What each case ends with. Most of the time of each is waiting for the cluster."""
    cases = list(cases)
    with ThreadPoolExecutor(len(cases)) as pool:
        return dict(zip(cases, pool.map(run, cases), strict=True))
