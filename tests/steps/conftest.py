"""What the tests of foreign steps share: a world that they change, and runs of the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.steps.api import Api, serve

ROOT = Path(__file__).parents[2]
CANARY = "canary-7Qx9wV-secret"


@dataclass
class Place:
    """One test's directory. `world` is what the steps change."""

    root: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def world(self) -> Path:
        """Where each thing is a file."""
        return self.root / "world"

    def things(self) -> list[str]:
        """What is in the world."""
        return sorted(path.name for path in self.world.iterdir())

    def start(self, *arguments: str, **environ: str) -> subprocess.Popen[str]:
        """The command line, with its output in memory."""
        process = subprocess.Popen(
            [sys.executable, "-m", "alma", *arguments],
            cwd=self.root,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def alma(self, *arguments: str, **environ: str) -> tuple[int, str]:
        """Its exit code, and all that it said."""
        process = self.start(*arguments, **environ)
        out, err = process.communicate(timeout=300)
        return process.returncode, out + err

    def document(self, *arguments: str, **environ: str) -> Any:
        """What a command says with `--json`."""
        process = self.start(*arguments, "--json", **environ)
        return json.loads(process.communicate(timeout=300)[0])

    def kill(self, process: subprocess.Popen[str]) -> None:
        """The runner alone, at once."""
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=300)

    def holding(self, text: str, *, but: tuple[str, ...] = ()) -> list[str]:
        """The files under the place that hold the text, those of these names left out."""
        files = (path for path in self.root.rglob("*") if path.is_file() and path.name not in but)
        return [str(path) for path in files if text.encode() in path.read_bytes()]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A place with an empty world."""
    place = Place(tmp_path)
    place.world.mkdir()
    yield place
    (tmp_path / "gate").touch()  # whatever a failed test has left waiting goes on, and ends
    for process in place.started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture(autouse=True)
def own_temporary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Temporary files are under the place, so that what they hold is seen.

    By a short name: some tools have their sockets there, whose paths may have 107 bytes.
    """
    (tmp_path / "tmp").mkdir()
    with tempfile.TemporaryDirectory(prefix="alma-test-") as short:
        link = Path(short, "t")
        link.symlink_to(tmp_path / "tmp")
        monkeypatch.setenv("TMPDIR", str(link))
        monkeypatch.setattr("tempfile.tempdir", None)
        yield


@pytest.fixture
def terraform_cli(tofu: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The CLI that steps by Terraform take, OpenTofu or Terraform itself."""
    monkeypatch.setenv("ALMA_TERRAFORM", str(tofu))
    return tofu


@pytest.fixture
def api() -> Iterator[Api]:
    with serve() as found:
        yield found
