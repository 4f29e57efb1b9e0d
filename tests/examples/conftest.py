"""Examples are run as a user runs them: a process of their own, in a directory of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from stacks.local import process

EXAMPLES = Path(__file__).parents[2] / "examples"
PATIENCE = 300
"""Seconds for one command: below the time limit of a test, so that its output is shown."""


@dataclass(frozen=True)
class Place:
    """A working directory in which examples are run."""

    directory: Path

    def python(self, example: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`python examples/NAME`."""
        return self._run(str(EXAMPLES / example), *arguments)

    def alma(self, command: str, example: str = "") -> dict[str, Any]:
        """`alma-pulumi COMMAND examples/NAME --json`, which succeeds: the document."""
        target = [str(EXAMPLES / example)] if example else []
        ended = self._run("-m", "alma", *command.split(), *target, "--json")
        assert ended.returncode == 0, ended.stderr
        document: dict[str, Any] = json.loads(ended.stdout)
        return document

    def left(self) -> list[str]:
        """What is there of any example: its files, and processes that name this directory."""
        files = [str(path) for path in (self.directory / ".alma" / "data").rglob("*")]
        return files + [
            " ".join(found.info["cmdline"])
            for found in psutil.process_iter(["cmdline"])
            if str(self.directory) in " ".join(found.info["cmdline"] or ())
        ]

    def held(self) -> dict[str, int]:
        """How many resources each stack in the state holds, its root left out, by project."""
        stacks = self.directory / ".alma" / "state" / ".pulumi" / "stacks"
        counts = {}
        for path in stacks.glob("*/dev.json"):
            latest = json.loads(path.read_text())["checkpoint"].get("latest") or {}
            resources = latest.get("resources") or []
            counts[path.parent.name] = sum(
                resource["type"] != "pulumi:pulumi:Stack" for resource in resources
            )
        return counts

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )


@pytest.fixture
def place(tmp_path: Path, pulumi_cli: Path) -> Iterator[Place]:  # noqa: ARG001 - it must be there
    """A directory; processes that an example left there end with the test, whatever it did."""
    yield Place(tmp_path)
    with ExitStack() as all_of_them:
        for record in tmp_path.rglob("process.json"):
            content = json.loads(record.read_text())
            identity = process.Identity(content["pid"], content["start"])
            all_of_them.callback(process.stop, identity, term=1)


def alive(pids: list[int]) -> list[int]:
    """Those of the pids that are still processes of the local stacks."""
    return [
        found.pid
        for found in psutil.process_iter(["cmdline"])
        if found.pid in pids and "stacks.local" in " ".join(found.info["cmdline"] or ())
    ]
