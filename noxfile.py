"""Sessions: `nox` runs all tests and lint; `nox -s demo` shows alma at work; `nox -l` lists all."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

import nox

nox.needs_version = ">=2024.4.15"
nox.options.sessions = ["tests", "lives", "services", "lint"]
# Installing again into an environment that is there already takes seconds, not a minute.
nox.options.reuse_venv = "yes"

PYPROJECT = nox.project.load_toml("pyproject.toml")
LOCKS = Path("requirements")
# Each lock: the groups of pyproject.toml, and whether alma's extras are in it.
LOCKED = {
    "alma": (("build",), False),
    "tests": (("build", "test"), True),
    "checks": (("build", "lint"), False),
    "docs": (("build", "docs"), False),
    "bench": (("build", "bench"), False),
}
UV = "uv>=0.9,<1"
# The SDKs of the clouds are thousands of modules of which a few are ever imported, and those keep
# their bytecode then: to compile all of them is most of what an installation takes.
UNCOMPILED = ("--no-compile",)
AUDIT = "pip-audit>=2.9,<3"

# Whoever runs this may be logged in to a real backend: no session may reach it.
FOREIGN = (
    "PULUMI_ACCESS_TOKEN",
    "PULUMI_BACKEND_URL",
    "PULUMI_CONFIG_PASSPHRASE",
    "PULUMI_CONFIG_PASSPHRASE_FILE",
    "PULUMI_STACK",
)


# Of tests/toolchain: what the tests run against, brought here before any test's time counts.
SERVICES = (
    "localstack",
    "docker",
    "kubernetes",
    "kubernetes-plugin",
    "postgres",
    "temporal",
    "tofu",
    "chromium",
)
# What tests ask for that are not among those of a service: it starts in two seconds.
LIGHT = ("postgres",)
# One more than two cores run: tests wait for processes and for deadlines, too.
AT_ONCE = 3
# What `bench` compares with, or weighs, for context only: it goes on without.
CONTEXT = ("terragrunt", "tofu", "kubernetes-plugin")


def install(session: nox.Session, lock: str, *, editable: bool = True) -> None:
    """Install just what the lock says, by its hashes, and alma itself."""
    session.install(*UNCOMPILED, "--require-hashes", "-r", str(LOCKS / f"{lock}.txt"))
    # The build's tools come from the lock as well: it fetches none of its own.
    how = ("--no-deps", "--no-build-isolation")
    session.install(*how, *(("-e", ".") if editable else (".",)))


def install_resolved(session: nox.Session, *requirements: str) -> None:
    """Install alma with its extras and the tests' tools, resolved now and not as locked."""
    session.install(UV)
    overrides = Path(session.create_tmp(), "overrides.txt")
    # The groups pin the SDK to the version of tests/toolchain's CLI; here alma's own bounds count.
    overrides.write_text("\n".join(PYPROJECT["project"]["dependencies"]))
    tools = nox.project.dependency_groups(PYPROJECT, "build", "test")
    wanted = ("-e", ".[all]", *tools, *requirements)
    python = str(Path(session.bin) / "python")
    how = ("--upgrade", "--python", python, "--override", str(overrides))
    session.run("uv", "pip", "install", *how, *wanted)


def pins(session: nox.Session, lock: Path, names: Sequence[str] = ()) -> Path:
    """Write a lock's versions, all or of these names, as constraints without hashes."""
    lines = lock.read_text().splitlines()
    found = [line.rstrip(" \\") for line in lines if re.match(r"[\w.-]+==", line)]
    file = Path(session.create_tmp(), f"{lock.stem}-pins.txt")
    file.write_text("\n".join(pin for pin in found if not names or pin.split("==")[0] in names))
    return file


def named(requirements: Iterable[str]) -> list[str]:
    """Take the names of requirements."""
    return [re.split(r"[^\w.-]", requirement)[0] for requirement in requirements]


def run_tests(session: nox.Session, *chosen: str, parts: Sequence[str] = SERVICES) -> None:
    """Run pytest on what is installed, on all tests or the chosen; arguments go to it."""
    with_pulumi(session, *parts)
    how = ("-n", str(AT_ONCE), "--dist", "worksteal")
    session.run("pytest", *how, *chosen, *session.posargs)


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


def interpreter(version: str) -> str:
    """Find a Python of pyenv's: its shim on PATH runs only a version that was chosen there."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}"))
    return str(found[-1]) if found else version


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests but for the next two sessions'; arguments go to pytest: `-- -k cli -n 0`."""
    install(session, "tests")
    run_tests(session, "-m", "not lives and not services", parts=LIGHT)


@nox.session
def lives(session: nox.Session) -> None:
    """Run the tests that bring sagas up, disturb them and take them down; arguments as above."""
    install(session, "tests")
    run_tests(session, "-m", "lives and not services", parts=LIGHT)


@nox.session
def services(session: nox.Session) -> None:
    """Run the tests over LocalStack, Docker, Kubernetes, Temporal, Terraform and in a browser."""
    install(session, "tests")
    run_tests(session, "-m", "services")


@nox.session(name="tests-3.12", python=interpreter("3.12"))
def tests_on_312(session: nox.Session) -> None:
    """Run all tests on Python 3.12."""
    install(session, "tests")
    run_tests(session)


@nox.session(name="tests-3.13", python=interpreter("3.13"))
def tests_on_313(session: nox.Session) -> None:
    """Run all tests on Python 3.13."""
    install(session, "tests")
    run_tests(session)


@nox.session
def newest(session: nox.Session) -> None:
    """Run all tests on the newest of everything, the Pulumi CLI included."""
    install_resolved(session)
    session.env["ALMA_TOOLCHAIN_PULUMI"] = "newest"
    run_tests(session)


@nox.session(python=interpreter("3.11"))
def oldest(session: nox.Session) -> None:
    """Run all tests on the oldest Python, libraries and Pulumi CLI that alma claims."""
    session.install(UV)
    bounds = Path(session.create_tmp(), "oldest.txt")
    how = ("--quiet", "--resolution", "lowest-direct", "--all-extras", "--python-version", "3.11")
    session.run("uv", "pip", "compile", *how, "pyproject.toml", "-o", str(bounds))
    project = PYPROJECT["project"]
    extras = chain.from_iterable(project["optional-dependencies"].values())
    own = named([*project["dependencies"], *extras])
    # The tests' own tools are as locked: alma makes no claim about those, nor about what those
    # and its own libraries need in their turn.
    tools = named(nox.project.dependency_groups(PYPROJECT, "build", "test"))
    locked = pins(session, LOCKS / "tests.txt", [name for name in tools if name not in own])
    install_resolved(session, "-c", str(pins(session, bounds, own)), "-c", str(locked))
    session.env["ALMA_TOOLCHAIN_PULUMI"] = "oldest"
    run_tests(session)


@nox.session
def lock(session: nox.Session) -> None:
    """Make the locks anew, with the newest that pyproject.toml lets in; of these names only."""
    session.install(UV)
    session.env["UV_CUSTOM_COMPILE_COMMAND"] = "nox -s lock"
    how = ("--quiet", "--universal", "--python-version", "3.11", "--generate-hashes")
    command = ("uv", "pip", "compile", *how, "--no-annotate", "pyproject.toml")
    if session.posargs:  # What is locked stays so; what pyproject.toml has come to name is added.
        newest = [f"--upgrade-package={name}" for name in session.posargs]
    else:  # One resolution for all, so that sessions agree; the lower bound of Python, any system.
        everything = str(Path(session.create_tmp(), "everything.txt"))
        groups = {group for names, _ in LOCKED.values() for group in names}
        chosen = [f"--group={group}" for group in sorted(groups)]
        session.run(*command, "--upgrade", "--all-extras", *chosen, "-o", everything)
        newest = ["--upgrade", "-c", everything]
    for name, (names, extras) in LOCKED.items():
        chosen = [*(f"--group={group}" for group in names), *(["--all-extras"] if extras else [])]
        session.run(*command, *newest, *chosen, "-o", str(LOCKS / f"{name}.txt"))


@nox.session
def faults(session: nox.Session) -> None:
    """Run the release volume of faults: `nox -s faults -- --seed 7 --budget 30` (minutes)."""
    install(session, "checks")
    with_pulumi(session, *LIGHT)
    session.run("python", "-m", "tests.faults", *session.posargs)


@nox.session
def programs(session: nox.Session) -> None:
    """Run the collection of programs in every mode: `nox -s programs -- hooks` for some."""
    install(session, "tests")
    with_pulumi(session)
    session.run("python", "-m", "tests.programs", *session.posargs)


@nox.session
def demo(session: nox.Session) -> None:
    """Run the demonstration with alma installed as a user has it."""
    install(session, "alma", editable=False)
    with_pulumi(session)
    session.run("python", "examples/demo.py", *session.posargs)


@nox.session
def package(session: nox.Session) -> None:
    """Build wheel and sdist, install each into an empty environment, run the demo from there."""
    install(session, "alma")
    with_pulumi(session)
    work = Path(session.create_tmp()).absolute()
    for left in (work / "dist", work / "sources"):
        shutil.rmtree(left, ignore_errors=True)
    session.run("python", "-m", "hatchling", "build", "-d", str(work / "dist"))
    (wheel,), (sdist,) = (work / "dist").glob("*.whl"), (work / "dist").glob("*.tar.gz")
    session.run("tar", "-xzf", str(sdist), "-C", str(work), external=True)
    (work / sdist.name.removesuffix(".tar.gz")).rename(work / "sources")
    for made in (wheel, sdist):
        home = work / made.suffix[1:]
        session.run("python", "-m", "venv", "--clear", str(home))
        pip = (str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", *UNCOMPILED)
        # By its own metadata, which is what a user's pip goes by; only the versions are locked.
        constraints = str(pins(session, LOCKS / "alma.txt"))
        environment = {"PIP_CONSTRAINT": constraints, "PIP_BUILD_CONSTRAINT": constraints}
        session.run(*pip, str(made), env=environment, external=True)
    # Without the checkout: neither as the working directory nor on any path.
    session.chdir(work / "sources" / "examples")
    front = {"PATH": os.pathsep.join((str(work / "whl" / "bin"), session.env["PATH"] or ""))}
    session.run(str(work / "whl" / "bin" / "python"), "demo.py", env=front, external=True)
    session.run(str(work / "gz" / "bin" / "alma-pulumi"), "--version", external=True)


@nox.session
def lint(session: nox.Session) -> None:
    """Check the style, the format and the types; look for known vulnerabilities in the locks."""
    install(session, "checks")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")
    audit(session)


def audit(session: nox.Session) -> None:
    """Fail for a known vulnerability in what is locked; where nobody can be asked, say so."""
    session.install(AUDIT, success_codes=[0, 1])
    locks = chain.from_iterable(("-r", str(lock)) for lock in sorted(LOCKS.glob("*.txt")))
    how = ("--disable-pip", "--require-hashes", "--progress-spinner=off", "--format=json")
    said = session.run(
        *("python", "-m", "pip_audit", *how, *locks),
        silent=True,
        stderr=subprocess.DEVNULL,
        success_codes=[0, 1],
    )
    try:
        found = json.loads(str(said))["dependencies"]
    except (ValueError, KeyError):
        session.warn("audit: NOT DONE, no data on vulnerabilities could be had")
        return
    if skipped := sorted({one["name"] for one in found if "skip_reason" in one}):
        session.warn(f"audit: NOT DONE for {len(skipped)} packages, of which no data could be had")
    bad = [f"{one['name']} {one['version']}" for one in found if one.get("vulns")]
    if bad:
        session.error(f"audit: known vulnerabilities in {', '.join(sorted(set(bad)))}")
    session.log(f"audit: {len(found) - len(skipped)} entries of the locks without a known one")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure alma beside its alternatives: `nox -s bench -- --repeats 5 --only chain`."""
    install(session, "bench", editable=False)
    with_pulumi(session)
    with_parts(session, "postgres", "temporal")
    with_parts(session, *CONTEXT, needed=False)
    session.run("python", "-m", "tests.benchmarks", *session.posargs)


def build_site(session: nox.Session) -> None:
    """Build it into site/; a link that leads nowhere is an error."""
    install(session, "docs")
    # The builder's news of its own successors are no news of this project.
    session.run("mkdocs", "build", env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session
def site(session: nox.Session) -> None:
    """Build the site into site/ alone: the first three sessions have the tests of `docs`."""
    build_site(session)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site into site/, and check that what the documents say and show is so."""
    build_site(session)
    with_pulumi(session, "tofu")
    session.run("pytest", "tests/test_docs.py", "tests/test_rooms.py", *session.posargs)
