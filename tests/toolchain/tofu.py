"""A CLI that speaks Terraform's language: terraform or tofu, else OpenTofu from Go modules."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.toolchain import go_build
from tests.toolchain.go_build import Pin

PIN = Pin("tofu", Path(__file__).parent / "tofu", "github.com/opentofu/opentofu")
INSTALL = "install Terraform or OpenTofu (https://opentofu.org/docs/intro/install/), or Go 1.25"


def directories() -> list[Path]:
    """Return the directory that holds `terraform` or `tofu`."""
    for name in ("tofu", "terraform"):
        if (path := shutil.which(name)) is not None:
            return [Path(path).parent]
    return [go_build.directory(PIN, _build, install=INSTALL)]


def _build(go: str, target: Path, log: Path) -> None:
    package = f"{PIN.module}/cmd/tofu"
    # It knows its version; else it would call itself a development build of it.
    flag = f"{PIN.module}/version.dev"
    go_build.build(PIN, package, flag, value="no", go=go, target=target, log=log)
