"""What is there for context only ends no session: it is left out, and why is said."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.benchmarks import terragrunt
from tests.benchmarks.room import House
from tests.toolchain.fakes import executable


@pytest.mark.parametrize(
    ("programs", "why"),
    [
        (["tofu"], "it is not on PATH"),
        (["terragrunt"], "neither OpenTofu nor Terraform is on PATH"),
        (["terragrunt", "terraform"], "it did not do the work"),
    ],
)
def test_a_terragrunt_that_cannot_be_measured_is_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, programs: list[str], why: str
) -> None:
    for name in programs:
        executable(tmp_path / "bin" / name, "#!/bin/sh\necho no such flag >&2\nexit 1\n")
    (tmp_path / "bin" / "sh").symlink_to(shutil.which("sh") or "/bin/sh")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert terragrunt.missing(House(tmp_path)).startswith(why)
