"""`alma-pulumi`, as processes of their own, several side by side."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).parents[3]
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Ended:
    """What a command ended with."""

    code: int
    document: dict[str, Any]
    stderr: str


def up(
    directory: Path, saga: str, *, until: Callable[[], None] | None = None, **environment: str
) -> Ended:
    """`alma-pulumi up --json` of a saga's text in a directory of its own.

    It gets a SIGINT when `until` returns.
    """
    directory.mkdir()
    (directory / "saga.py").write_text(saga)
    with subprocess.Popen(
        [sys.executable, "-m", "alma", "up", "--json"],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            if until is not None:
                until()
                process.send_signal(signal.SIGINT)
            answer, told = process.communicate(timeout=540)
        except BaseException:
            process.kill()
            raise
    return Ended(process.returncode, json.loads(answer or "{}"), told)


def side_by_side(run: Callable[[T], R], cases: Iterable[T]) -> Mapping[T, R]:
    """What each case comes to. Most of the time of each is waiting for the cluster."""
    cases = list(cases)
    with ThreadPoolExecutor(len(cases)) as pool:
        return dict(zip(cases, pool.map(run, cases), strict=True))
