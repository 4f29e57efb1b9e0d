"""What an operation weighs: its worker, the CLI and the plugins, at the moment of the most."""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress

import psutil

from tests.benchmarks.room import House, script
from tests.benchmarks.timing import WrongAnswerError, tell

KINDS = {
    "no plugin": "stash",
    "a dynamic provider": "dynamic",
    "the Kubernetes plugin": "kubernetes",
}
PLUGIN = "pulumi-resource-kubernetes"

Weights = dict[str, float]
"""MiB by part: `worker`, `cli`, `plugins`, and `all` of them, each at its most."""


def kinds() -> list[str]:
    """Those for which there is what they need."""
    return [name for name, kind in KINDS.items() if kind != "kubernetes" or shutil.which(PLUGIN)]


def weights(house: House, repeats: int) -> dict[str, list[Weights]]:
    """By kind, in random order in every repeat."""
    found: dict[str, list[Weights]] = {name: [] for name in kinds()}
    for repeat in range(repeats):
        for name in random.sample(list(found), len(found)):
            found[name].append(_weigh(house, KINDS[name]))
        tell(f"weight: {repeat + 1} of {repeats}")
    return found


def _weigh(house: House, kind: str) -> Weights:
    most: Weights = {"worker": 0.0, "cli": 0.0, "plugins": 0.0, "all": 0.0}
    with house.room() as room, (room.path / "stderr").open("w+") as errors:
        process = subprocess.Popen(
            script("alma_weight.py", kind),
            cwd=room.path,
            env=dict(room.environment),
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        while process.poll() is None:
            now = dict.fromkeys(most, 0.0)
            for part, mib in _parts(psutil.Process(process.pid)):
                now[part] += mib
                now["all"] += mib
            most = {part: max(most[part], now[part]) for part in most}
            time.sleep(0.02)
        errors.seek(0)
        if process.returncode:
            raise WrongAnswerError(f"the {kind} stack: {errors.read()}")
    return most


def _parts(runner: psutil.Process) -> Iterator[tuple[str, float]]:
    """What each process holds: what several have in common counts for each."""
    with suppress(psutil.Error):
        for process in runner.children(recursive=True):
            with suppress(psutil.Error, OSError):
                yield _part(process), process.memory_info().rss / 2**20


def _part(process: psutil.Process) -> str:
    words = process.cmdline()
    if any("alma.pulumi.automation" in word for word in words):
        return "worker"
    return "cli" if process.name() == "pulumi" else "plugins"
