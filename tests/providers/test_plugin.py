"""Which plugin serves a provider, and that the run says so."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.providers import plugin


@pytest.fixture
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No official plugin anywhere; the plugins' directory."""
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "plugins"


def test_the_official_plugin_serves_where_it_is_installed(nothing: Path) -> None:
    assert plugin.served() == {"aws": "stand-in", "docker": "stand-in", "kubernetes": "missing"}
    for version in ("5.9.0", "5.10.0"):
        (nothing / f"resource-docker-v{version}").mkdir(parents=True)
    (nothing / "resource-aws-v7.51.1.lock").touch()
    program = nothing.parent / "bin" / "pulumi-resource-kubernetes"
    program.parent.mkdir()
    program.touch(0o755)
    assert plugin.served() == {
        "aws": "stand-in",
        "docker": "official 5.10.0",
        "kubernetes": "official on PATH",
    }


def test_stand_ins_are_on_path_and_the_run_says_so(
    provider_plugins: dict[str, str], pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    line = plugin.pytest_report_header(pytestconfig)
    for name, what in provider_plugins.items():
        assert f"{name}: {what}" in line
        found = shutil.which(f"pulumi-resource-{name}")
        assert (found is not None) or what.startswith(("official ", "missing"))
        if what == "stand-in":
            assert Path(str(found)).parent != tmp_path
            assert os.access(str(found), os.X_OK)
