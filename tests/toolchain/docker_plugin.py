"""Pulumi's official plugin for Docker: what it is made of are Go modules, its `main` is ours."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.toolchain import go_build
from tests.toolchain.go_build import Pin

PIN = Pin(
    "pulumi-resource-docker",
    Path(__file__).parent / "docker_plugin",
    "github.com/pulumi/pulumi-terraform-bridge/v3",
)
VERSION = "5.2.0"
"""What it says that it is: what the SDK asks for."""
INSTALL = f"install it (pulumi plugin install resource docker {VERSION}) or Go 1.25 or later"


def directories() -> list[Path]:
    """Return the directory that holds the plugin; none where Pulumi itself has it."""
    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    if any(path.is_dir() for path in (home / "plugins").glob("resource-docker-v*")):
        return []
    if (path := shutil.which(PIN.name)) is not None:
        return [Path(path).parent]
    return [go_build.directory(PIN, _build, install=INSTALL)]


def _build(go: str, target: Path, log: Path) -> None:
    go_build.build(PIN, ".", "main.version", value=VERSION, go=go, target=target, log=log)
