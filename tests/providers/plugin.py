"""Which plugin serves each provider, and stand-ins on PATH for those that have no official one."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STAND_INS = sorted(path.parent.name for path in Path(__file__).parent.glob("*/__main__.py"))
OFFICIAL = "kubernetes"
"""The one that can be built where it is not installed: no stand-in is needed."""
SCRIPT = """#!/bin/sh
PYTHONPATH={root}${{PYTHONPATH:+:$PYTHONPATH}} exec {python} -P -m tests.providers.{name} "$@"
"""


def official(name: str) -> str | None:
    """The version of the official plugin that is installed; None when there is none."""
    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    found = [
        directory.name.rpartition("-v")[2]
        for directory in (home / "plugins").glob(f"resource-{name}-v*")
        if directory.is_dir()
    ]
    if found:
        return max(found, key=_ordered)
    return "on PATH" if shutil.which(f"pulumi-resource-{name}") else None


def _ordered(version: str) -> list[tuple[int, str]]:
    return [(int(part) if part.isdigit() else -1, part) for part in version.split(".")]


def served() -> dict[str, str]:
    """By provider: `stand-in`, or `official` and its version; `missing` where there is neither."""
    without = {**dict.fromkeys(STAND_INS, "stand-in"), OFFICIAL: "missing"}
    return {
        name: f"official {version}" if (version := official(name)) else otherwise
        for name, otherwise in without.items()
    }


SERVED = pytest.StashKey[dict[str, str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Look before any test moves PULUMI_HOME."""
    config.stash[SERVED] = served()


def pytest_report_header(config: pytest.Config) -> str:
    """Which plugins this run is served by."""
    return _line(config.stash[SERVED])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The same at the end, where a quiet run shows it too."""
    terminalreporter.write_line(_line(terminalreporter.config.stash[SERVED]))


def _line(of: dict[str, str]) -> str:
    return "provider plugins: " + ", ".join(f"{name}: {what}" for name, what in of.items())


@pytest.fixture(scope="session")
def stand_ins(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with an executable for each provider that a stand-in serves."""
    directory = tmp_path_factory.mktemp("stand-ins")
    for name, what in pytestconfig.stash[SERVED].items():
        if what == "stand-in":
            script = directory / f"pulumi-resource-{name}"
            words = {"root": shlex.quote(str(ROOT)), "python": shlex.quote(sys.executable)}
            script.write_text(SCRIPT.format(name=name, **words))
            script.chmod(0o755)
    return directory


@pytest.fixture
def provider_plugins(
    stand_ins: Path, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """Stand-ins on PATH for one test; by provider, which plugin serves it."""
    monkeypatch.setenv("PATH", f"{stand_ins}{os.pathsep}{os.environ['PATH']}")
    return pytestconfig.stash[SERVED]


@pytest.fixture
def kubernetes_plugin(pytestconfig: pytest.Config) -> str:
    """The official plugin for Kubernetes; which one it is."""
    what = pytestconfig.stash[SERVED][OFFICIAL]
    if what == "missing":
        pytest.fail(
            "There is no plugin for Kubernetes here: run the tests by `nox -s tests`, or put what "
            "`python -m tests.toolchain kubernetes-plugin` says on PATH.",
            pytrace=False,
        )
    return what
