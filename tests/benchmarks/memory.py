"""Memory: the most that a runner, its workers and a script of the Automation API ever held."""

from __future__ import annotations

import random
import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.room import House, Room, script
from tests.benchmarks.timing import tell

CHAIN = 5


def peaks(house: House, repeats: int) -> dict[str, list[float]]:
    """MiB (VmHWM) of the runner and of a worker of A, and of the process of B."""
    found: dict[str, list[float]] = {"runner": [], "worker": [], "B": []}
    for repeat in range(repeats):
        for file, name in random.sample([("alma_chain.py", "runner"), ("api_chain.py", "B")], 2):
            with house.room() as room:
                own, workers = _watch(room, script(file, CHAIN))
            found[name].append(own)
            found["worker"] += workers
        tell(f"memory: {repeat + 1} of {repeats}")
    return found


def _watch(room: Room, command: Sequence[str]) -> tuple[float, list[float]]:
    report = room.path / "status"
    process = subprocess.Popen(
        command,
        cwd=room.path,
        env={**room.environment, "BENCH_PEAK": str(report)},
        stdout=subprocess.DEVNULL,
    )
    workers: dict[str, float] = {}
    while process.poll() is None:
        for pid in _workers(process.pid):
            # The peak so far; what it held in its last hundredth of a second may be missed.
            workers[pid] = max(workers.get(pid, 0.0), _peak(Path("/proc", pid, "status")))
        time.sleep(0.01)
    return _peak(report), list(workers.values())


def _workers(parent: int) -> list[str]:
    """The children that are alma's workers."""
    try:
        pids = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return [pid for pid in pids if b"alma.pulumi.automation" in _words(pid)]
    except OSError:
        return []


def _words(pid: str) -> bytes:
    return Path("/proc", pid, "cmdline").read_bytes()


def _peak(status: Path) -> float:
    try:
        match = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
    except OSError:
        return 0.0
    return int(match[1]) / 1024 if match else 0.0
