"""Sessions: `nox` runs tests and lint; `nox -s demo` shows alma at work."""

from __future__ import annotations

import os
from pathlib import Path

import nox

nox.needs_version = ">=2024.4.15"
nox.options.sessions = ["tests", "lint"]
# Installing again into an environment that is there already takes seconds, not a minute.
nox.options.reuse_venv = "yes"

PYPROJECT = nox.project.load_toml("pyproject.toml")
# Whoever runs this may be logged in to a real backend: no session may reach it.
FOREIGN = (
    "PULUMI_ACCESS_TOKEN",
    "PULUMI_BACKEND_URL",
    "PULUMI_CONFIG_PASSPHRASE",
    "PULUMI_CONFIG_PASSPHRASE_FILE",
    "PULUMI_STACK",
)


# Of tests/toolchain: what the tests run against, brought here before any test's time counts.
SERVICES = ("localstack", "docker", "kubernetes", "tofu")
# What `bench` compares with for context only: it goes on without.
CONTEXT = ("terragrunt", "tofu")


def with_pulumi(session: nox.Session, *parts: str) -> None:
    """Put the Pulumi CLI and more parts on the PATH, and keep the user's own Pulumi out of it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = cache.absolute() / "alma" / "pulumi-home"
    (home / "plugins").mkdir(parents=True, exist_ok=True)
    session.env.update(dict.fromkeys(FOREIGN))
    session.env["PULUMI_HOME"] = str(home)
    session.env["PULUMI_SKIP_UPDATE_CHECK"] = "1"
    # Hundreds of interpreters start: where no bytecode may be kept, each would compile alma anew.
    session.env["PYTHONDONTWRITEBYTECODE"] = None
    with_parts(session, "pulumi", *parts)


def with_parts(session: nox.Session, *parts: str, needed: bool = True) -> None:
    """Put parts of tests/toolchain on the PATH; a part that is not `needed` may be missing."""
    command = ("python", "-m", "tests.toolchain", *parts)
    # stderr passes through: a first build takes minutes and says so, and what is missing too.
    codes = [0] if needed else [0, 1]
    front = session.run(*command, silent=True, stderr=None, success_codes=codes)
    # An empty entry in PATH would mean the working directory.
    path = [str(front or "").strip(), session.env.get("PATH") or os.environ.get("PATH", "")]
    session.env["PATH"] = os.pathsep.join(filter(None, path))


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests; arguments go to pytest: `nox -s tests -- -k journal -n 0`."""
    session.install("-e", ".[all]", *nox.project.dependency_groups(PYPROJECT, "test"))
    with_pulumi(session, *SERVICES)
    # Most tests wait for a CLI at work: two at a time take little more than half as long.
    session.run("pytest", "-n", "2", "--dist", "worksteal", *session.posargs)


@nox.session
def faults(session: nox.Session) -> None:
    """Run the release volume of faults: `nox -s faults -- --seed 7 --budget 30` (minutes)."""
    session.install("-e", ".", *nox.project.dependency_groups(PYPROJECT, "test"))
    with_pulumi(session)
    session.run("python", "-m", "tests.faults", *session.posargs)


@nox.session
def demo(session: nox.Session) -> None:
    """Run the demonstration with alma installed as a user has it."""
    session.install(".")
    with_pulumi(session)
    session.run("python", "examples/demo.py", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check the style, the format and the types."""
    session.install("-e", ".", *nox.project.dependency_groups(PYPROJECT, "lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure alma beside its alternatives: `nox -s bench -- --repeats 5 --only chain`."""
    session.install(".", *nox.project.dependency_groups(PYPROJECT, "bench"))
    with_pulumi(session)
    with_parts(session, *CONTEXT, needed=False)
    session.run("python", "-m", "tests.benchmarks", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Check that what the documents say and show is so."""
    session.install("-e", ".", *nox.project.dependency_groups(PYPROJECT, "test"))
    with_pulumi(session)
    session.run("pytest", "tests/test_docs.py", *session.posargs)
