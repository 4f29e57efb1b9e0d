"""What must not creep back: processes, commits and imports, by count. Never by time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from alma import Saga, destroy, resume
from alma.journal.sqlite.store import SqliteStore
from alma.journal.store import Writer
from alma.runner import executor as operation
from alma.runner import recorder
from tests.benchmarks.arms.stage import stage
from tests.benchmarks.room import Room, projects

LISTING = """
import sys
from alma.cli import main
try:
    main()
except SystemExit as ended:
    print(*sorted(sys.modules), file=sys.stderr)
    sys.exit(ended.code)
"""
COMPILED = """
import sys
from alma.cli import main
try:
    main()
except SystemExit:
    ours = [vars(module) for name, module in sys.modules.items() if name.startswith("alma")]
    found = {each for names in ours for each in names.values() if isinstance(each, type)}
    for each in found:
        if {"__dataclass_fields__", "__init__"} <= vars(each).keys():
            print(each.__name__, file=sys.stderr)
"""
PROJECT = """
from alma import Saga

saga = Saga("single")
saga.add_stack("only", work_dir="cli-s1")
"""
ACTIONS = """
from alma import Saga

saga = Saga("actions")
for number in range(3):
    saga.add_step(f"s{number}", action=lambda: None, compensation="none")
"""


@pytest.fixture
def calls(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    pulumi_cli: Path,  # noqa: ARG001 - it must be there
) -> Path:
    """The file that gets a line for each CLI process."""
    log = tmp_path / "calls"
    log.touch()
    monkeypatch.setenv("ALMA_TEST_ARGV", str(log))
    return log


def since(log: Path) -> list[str]:
    """The commands of the CLI processes since the last look, `version` once for each CLI apart."""
    found = [line.replace("--non-interactive ", "") for line in log.read_text().splitlines()]
    log.write_text("")
    words = (line.split() for line in found)
    commands = [" ".join(line[: 2 if line[0] == "stack" else 1]) for line in words]
    return sorted(command for command in commands if command != "version")


def pair() -> Saga:
    """Two stacks, the second with an output of the first."""
    saga = Saga("pair", stack="dev")
    first = saga.add_stack("first", program=stage)
    saga.add_stack("second", program=stage, inputs={"upstream": first.output("value")})
    return saga


async def test_cli_processes_of_two_stacks(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """New: init and up. Nothing to do: up alone. Taken down: destroy and rm. Done: none.

    With nothing changed not even a worker is started ahead.
    """
    await pair().execute()
    assert since(calls) == ["stack init"] * 2 + ["up"] * 2
    await pair().execute()
    assert since(calls) == ["up"] * 2
    with monkeypatch.context() as patch:
        patch.setattr("alma.pulumi.prewarm.WorkerProcess", None)
        await pair().execute(changed=True)
    assert since(calls) == []
    await resume(saga=pair())
    assert since(calls) == []
    await destroy(pair(), remove=True)
    assert since(calls) == ["destroy"] * 2 + ["stack rm"] * 2


async def test_cli_processes_with_a_passphrase_of_the_users_own(
    calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the first run has shown is not asked again."""
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "of my own")
    await pair().execute()
    since(calls)
    await pair().execute()
    assert since(calls) == ["up"] * 2


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The transactions of every journal, by what they are for."""
    found: list[str] = []
    original = SqliteStore.write

    def write(self: SqliteStore, what: str, work: Callable[[Writer], object]) -> object:
        found.append(what)
        return original(self, what, work)

    with monkeypatch.context() as patch:
        patch.setattr(SqliteStore, "write", write)
        yield found


@pytest.mark.parametrize("steps", [1, 10])
async def test_commits_of_steps_that_do_nothing(
    monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """The lease, the run, one before each step with what has happened until then, and the end."""
    monkeypatch.setattr(recorder, "PATIENCE", 60.0)
    saga = Saga("actions")
    for number in range(steps):
        saga.add_step(f"s{number}", action=lambda: None, compensation="none")
    with counted(monkeypatch) as found:
        await saga.execute()
    assert len(found) == 2 + steps + 1, found


@pytest.mark.usefixtures("pulumi_cli")
async def test_commits_of_stacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """For each stack one before it and one for each of its CLI processes, with its worker."""
    monkeypatch.setattr(recorder, "PATIENCE", 60.0)
    monkeypatch.setattr(operation, "UNTIL_ITS_CLI", 60.0)
    with counted(monkeypatch) as found:
        await pair().execute()
    assert len(found) == 2 + 2 * (1 + 2) + 1, found
    with counted(monkeypatch) as found:
        await pair().execute()
    assert len(found) == 2 + 2 * (1 + 1) + 1, found


def modules(*words: str) -> set[str]:
    """What the command has imported by its end."""
    done = subprocess.run(
        [sys.executable, "-c", LISTING, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


HEAVY = {"pulumi", "grpc", "rich", "sqlite_utils", "yaml", "psutil", "cloudpickle", "asyncio"}

READS_WITHOUT = {
    *("importlib.metadata", "socket", "random", "shutil", "graphlib"),
    *("alma.saga.saga", "alma.runner.start", "alma.runner.runner", "alma.core.decide"),
}
"""What only a command that runs something has to load."""
OURS = 51
"""Modules of alma that a command which only reads loads, and the nine packages they stand in."""


def test_modules_that_help_imports() -> None:
    loaded = modules("--help")
    assert not loaded & (HEAVY | {"sqlite3", "hashlib", "tempfile", "json"})
    ours = {name for name in loaded if name.startswith("alma.") and ".cli" not in name}
    assert ours == {
        *("alma.errors", "alma.__about__", "alma.core", "alma.core.search_path"),
        *("alma.system", "alma.system.descriptors", "alma.system.limits"),
    }


def test_modules_that_status_imports() -> None:
    Path("saga.py").write_text(ACTIONS)
    modules("up")
    for command in ("status", "runs"):
        loaded = modules(command)
        assert not loaded & (HEAVY | READS_WITHOUT), command
        assert len({name for name in loaded if name.startswith("alma")}) <= OURS, command
    script = [sys.executable, "-c", COMPILED, "status"]
    done = subprocess.run(script, capture_output=True, text=True, check=True)
    # What `@dataclass` generates is compiled anew in every process.
    assert not done.stderr.split()


def test_modules_that_a_run_of_actions_imports() -> None:
    """The second run: the first one makes the journal, with sqlite_utils."""
    Path("saga.py").write_text(ACTIONS)
    modules("up")
    loaded = modules("up")
    assert not loaded & {"pulumi", "grpc", "rich", "sqlite_utils", "alma.pulumi.local"}


@pytest.mark.usefixtures("pulumi_cli")
def test_modules_that_a_run_of_projects_imports() -> None:
    """Pulumi's SDK is for workers."""
    Path("saga.py").write_text(PROJECT)
    projects(Room(Path.cwd(), {}), 1)
    modules("up")
    loaded = modules("up")
    assert "alma.pulumi.local" in loaded
    assert not loaded & {"pulumi", "grpc", "importlib.metadata", "http.client"}
    assert not {name for name in loaded if name.startswith("alma.tools.")}
