"""Terragrunt, from Go modules where it is not on PATH: only what `nox -s bench` compares with."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.toolchain import go_build
from tests.toolchain.go_build import Pin

PIN = Pin("terragrunt", Path(__file__).parent / "terragrunt", "github.com/gruntwork-io/terragrunt")
INSTALL = "install Terragrunt (https://terragrunt.gruntwork.io/docs/) or Go 1.25 or later"


def directories() -> list[Path]:
    """Return the directory that holds `terragrunt`."""
    if (path := shutil.which(PIN.name)) is not None:
        return [Path(path).parent]
    return [go_build.directory(PIN, _build, install=INSTALL)]


def _build(go: str, target: Path, log: Path) -> None:
    variable = "github.com/gruntwork-io/go-commons/version.Version"
    go_build.build(PIN, PIN.module, variable, go=go, target=target, log=log)
