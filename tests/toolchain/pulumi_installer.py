"""Pulumi's own installer, by way of the Automation API, where the vendor can be reached."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

from tests.toolchain import cache
from tests.toolchain.process import FailedError, run, say

# In a process of its own: the SDK downloads with no deadline, and looking up a name has none.
PROBE = "import urllib.request as u; u.urlopen('https://get.pulumi.com/install.sh').close()"
PROBE_TIMEOUT = 10
INSTALL = (
    "import sys; from semver import VersionInfo; from pulumi.automation import PulumiCommand;"
    " PulumiCommand.install(root=sys.argv[1], version=VersionInfo.parse(sys.argv[2]))"
)
INSTALL_TIMEOUT = 10 * 60


def directory(version: str) -> Path | None:
    """Return the directory of the installed CLI, or None where it cannot be installed."""
    key = cache.key("pulumi-install", version)
    installed = cache.existing(key)
    if installed is None:
        if importlib.util.find_spec("pulumi") is None or not reachable():
            return None
        try:
            installed = cache.entry(key, lambda part, log: _install(version, part, log))
        except FailedError:
            say(f"Pulumi's installer failed; log: {cache.log_of(key)}")
            return None
    return installed / "bin"


def _install(version: str, target: Path, log: Path) -> None:
    say(f"installing the Pulumi CLI {version}; log: {log}")
    command = [sys.executable, "-c", INSTALL, str(target), version]
    run(command, log=log, timeout=INSTALL_TIMEOUT, cwd=target)


def reachable() -> bool:
    """Tell whether the vendor's host answers, within seconds."""
    try:
        probe = subprocess.run(
            [sys.executable, "-c", PROBE],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PROBE_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return probe.returncode == 0
