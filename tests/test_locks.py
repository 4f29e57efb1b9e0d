"""What the sessions install fits what pyproject.toml says, and nothing else decides it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
OWN = PYPROJECT["project"]["dependencies"]
EXTRAS = [
    requirement
    for extra, wanted in PYPROJECT["project"]["optional-dependencies"].items()
    if extra != "all"
    for requirement in wanted
]
LOCKS = {
    "alma": ("build",),
    "tests": ("build", "test"),
    "checks": ("build", "lint"),
    "docs": ("build", "docs"),
    "bench": ("build", "bench"),
}
PYTHONS = ("3.11", "3.12", "3.13")


def in_group(name: str) -> Iterator[str]:
    """The requirements of a dependency group and of those that it includes."""
    for entry in PYPROJECT["dependency-groups"][name]:
        if isinstance(entry, str):
            yield entry
        else:
            yield from in_group(entry["include-group"])


def locked(name: str, python: str) -> dict[str, str]:
    """The versions that a lock has for a Python on Linux, by name."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text().replace("\\\n", " ")
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
        "platform_system": "Linux",
    }
    pins = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            pin, *hashes = re.split(r"\s+--hash=sha256:", line.strip())
            assert hashes, line
            requirement = Requirement(pin)
            if requirement.marker is None or requirement.marker.evaluate(environment):
                (version,) = requirement.specifier
                assert version.operator == "==", line
                pins[canonicalize_name(requirement.name)] = version.version
    return pins


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_what_pyproject_asks_for(name: str, python: str) -> None:
    """`nox -s lock` was run after the last change: else `--no-deps` would leave something out."""
    wanted = [*OWN, *(EXTRAS if name == "tests" else [])]
    wanted += [requirement for group in LOCKS[name] for requirement in in_group(group)]
    pins = locked(name, python)
    for requirement in map(Requirement, wanted):
        assert canonicalize_name(requirement.name) in pins, f"nox -s lock: {requirement}"
        version = pins[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version, prereleases=True), requirement


def test_the_locks_agree() -> None:
    """One version of a thing, whatever is run: what is tested is what is shown and measured."""
    versions: dict[str, set[str]] = {}
    for name in LOCKS:
        for package, version in locked(name, "3.11").items():
            versions.setdefault(package, set()).add(version)
    assert {package: found for package, found in versions.items() if len(found) > 1} == {}


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_place(name: str) -> None:
    """Where packages come from is each machine's own business; the hashes say which they are."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    assert "://" not in text
    assert "-index" not in text


def test_every_lock_is_made_and_looked_at_here() -> None:
    files = {path.stem for path in (ROOT / "requirements").glob("*.txt")}
    assert files == set(LOCKS)
