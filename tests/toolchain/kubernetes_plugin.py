"""Pulumi's official plugin for Kubernetes: its provider is a Go module, its `main` is ours."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.toolchain import go_build
from tests.toolchain.go_build import Pin

PIN = Pin(
    "pulumi-resource-kubernetes",
    Path(__file__).parent / "kubernetes_plugin",
    "github.com/pulumi/pulumi-kubernetes/provider/v4",
)
VERSION = "4.34.2"
"""What it says that it is: what the SDK asks for. Of the module only a commit can be had."""
INSTALL = f"install it (pulumi plugin install resource kubernetes {VERSION}) or Go 1.25 or later"


def directories() -> list[Path]:
    """Return the directory that holds the plugin; none where Pulumi itself has it."""
    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    if any(path.is_dir() for path in (home / "plugins").glob("resource-kubernetes-v*")):
        return []
    if (path := shutil.which(PIN.name)) is not None:
        return [Path(path).parent]
    return [go_build.directory(PIN, _build, install=INSTALL)]


def _build(go: str, target: Path, log: Path) -> None:
    go_build.build(PIN, ".", "main.version", value=VERSION, go=go, target=target, log=log)
