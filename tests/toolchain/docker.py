"""The Docker daemon, and a static busybox: the image of the tests, as no registry is needed."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.toolchain import debian

DAEMON = "install Docker Engine (https://docs.docker.com/engine/install/)"
SHELL = "install a statically linked busybox (Debian's busybox-static)"


def directories() -> list[Path]:
    """Return the directories that hold `dockerd` and `busybox`."""
    daemon = shutil.which("dockerd")
    shell = shutil.which("busybox")
    return [
        Path(daemon).parent
        if daemon is not None
        else debian.directory("dockerd", "docker.io", "iptables", install=DAEMON),
        Path(shell).parent
        if shell is not None and static(shell)
        else debian.directory("busybox", "busybox-static", install=SHELL, alone=True),
    ]


def static(program: str) -> bool:
    """Tell whether `program` runs without libraries, as in an image that has nothing else."""
    with Path(program).open("rb") as file:
        start = file.read(4096)
    # The segment that names the dynamic loader; its name stands near the file's start.
    return b"ld-linux" not in start and b"ld-musl" not in start
