"""A directory of its own for each run of an arm, and an environment that reaches nothing else."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ARMS = Path(__file__).parent / "arms"
SETTINGS = ("PULUMI_", "TF_", "TERRAGRUNT_", "TG_")
"""How the variables begin that would make an arm another one on this machine."""
PROGRAM = """\
name: {name}
runtime: yaml
config:
  upstream:
    type: string
    default: start
resources:
  part:
    type: pulumi:index:Stash
    properties:
      input: ${{upstream}}/{name}
outputs:
  value: ${{part.output}}
"""


@dataclass(frozen=True)
class Room:
    """Where one arm works: its directory, and the environment of its processes."""

    path: Path
    environment: dict[str, str]

    def journal(self) -> Path:
        """alma's journal, by default."""
        return self.path / ".alma" / "journal.db"


@dataclass(frozen=True)
class House:
    """Where rooms are made; caches are shared, as on a machine that has run all of it before."""

    path: Path

    @contextmanager
    def room(self) -> Iterator[Room]:
        """A room; it is gone afterwards, and what the arms leave in temporary places with it."""
        with TemporaryDirectory(dir=self.path, ignore_cleanup_errors=True) as directory:
            path = Path(directory)
            for name in ("state", "tmp", "home"):
                (path / name).mkdir()
            yield Room(path, self._environment(path))

    def _environment(self, path: Path) -> dict[str, str]:
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(SETTINGS) or name == "PULUMI_HOME"
        }
        # What a user's own shell finds: the commands installed beside this interpreter.
        beside = str(Path(sys.executable).parent)
        return environment | {
            "PATH": os.pathsep.join((beside, environment.get("PATH", ""))),
            "HOME": str(path / "home"),
            "TMPDIR": str(path / "tmp"),
            "XDG_CACHE_HOME": str(self.path / "cache"),
            "XDG_STATE_HOME": str(path / "home"),
            "PULUMI_BACKEND_URL": (path / "state").as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "benchmark",
            "PULUMI_SKIP_UPDATE_CHECK": "1",
        }


def projects(room: Room, count: int) -> None:
    """Projects in YAML, `cli-s1` and so on: what C brings up, and alma where it is told so."""
    for number in range(1, count + 1):
        directory = room.path / f"cli-s{number}"
        directory.mkdir()
        (directory / "Pulumi.yaml").write_text(PROGRAM.format(name=directory.name))


def script(name: str, *arguments: object) -> list[str]:
    """The command line of an arm that is a file here."""
    front = [shutil.which("sh") or "sh"] if name.endswith(".sh") else [sys.executable]
    return [*front, str(ARMS / name), *map(str, arguments)]
