"""Nobody else on the machine can read or reach what alma makes, whatever the umask."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from alma.core.operation import Operation, aside
from alma.errors import BackendError
from alma.pulumi.backend import Backend
from alma.pulumi.checkpoint import load
from alma.pulumi.cli import Cli, PulumiCli, find_cli
from alma.pulumi.engine import StackRef
from alma.pulumi.snapshot_files import SnapshotFiles
from alma.pulumi.snapshots import SnapshotError, Snapshots
from alma.pulumi.task import build_task
from alma.steps.terraform.cli import Terraform
from alma.system import files
from alma.system.programs import ProgramRunner
from stacks.local import files as stack_files

REPOSITORY = Path(__file__).parents[2]

SAGA = """
import json, os, resource, subprocess
from pathlib import Path
import psutil
import pulumi
from alma import Saga

def limits():
    return resource.getrlimit(resource.RLIMIT_CORE)[0]

def look():
    Path("action.json").write_text(json.dumps(limits()))

def program():
    # As what a program starts without a thought: it inherits all that is inheritable.
    seen = subprocess.run(
        ["/bin/sh", "-c", "ls -l /proc/self/fd"], close_fds=False, capture_output=True, text=True
    )
    (cli,) = [one for one in psutil.Process().children() if "up" in one.cmdline()]
    said = {
        "inherited": [line for line in seen.stdout.splitlines() if "socket:" in line],
        "worker": limits(),
        "cli": cli.rlimit(psutil.RLIMIT_CORE)[0],
    }
    Path("program.json").write_text(json.dumps(said))
    pulumi.export("word", "x")

saga = Saga("s")
saga.add_step(look, "none", name="a")
saga.add_stack("b", program)
"""


@pytest.fixture(params=[0o000, 0o002], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    old = os.umask(request.param)
    yield
    os.umask(old)


def open_to_others(*roots: Path) -> dict[str, str]:
    """What in these directories others could read, enter or write, with its mode."""
    found = [path for root in roots for path in (root, *root.rglob("*")) if not path.is_symlink()]
    modes = {str(path): stat.S_IMODE(path.stat().st_mode) for path in found}
    return {path: oct(mode) for path, mode in modes.items() if mode & 0o077}


CORES_ALLOWED = ("sh", "-c", 'ulimit -S -c "$(ulimit -H -c)"; exec "$@"', "sh")
"""As `env` puts a variable before a command: its memory may be kept in a file."""


@pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")
@pytest.mark.usefixtures("pulumi_cli")
def test_a_run_leaves_nothing_that_others_can_read(tmp_path: Path) -> None:
    """Journal, state, logs, project and cache; no memory in a file, and no socket for children."""
    (tmp_path / "saga.py").write_text(SAGA)
    done = subprocess.run(
        [*CORES_ALLOWED, sys.executable, "-m", "alma", "up"],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        umask=0,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    home = Path(os.environ["HOME"])
    made = [tmp_path / ".alma", home / ".local", *(home / ".cache" / "alma").glob("*")]
    assert all(path.exists() for path in made)
    assert open_to_others(*made) == {}
    assert json.loads((tmp_path / "program.json").read_text()) == {
        "inherited": [],
        "worker": 0,
        "cli": 0,
    }
    assert json.loads((tmp_path / "action.json").read_text()) == 0
    # And what puts a changed state back.
    ref, state = StackRef(project="s-b", stack="dev"), tmp_path / ".alma" / "state"
    document = load(state, ref)
    assert document is not None
    backend = Backend.choose(tmp_path, os.environ)
    reader = PulumiCli(cli=find_cli().path, environment=backend.environment(os.environ))
    old = os.umask(0)
    try:
        asyncio.run(reader.replace(ref, document, aside(asyncio.Event())))
    finally:
        os.umask(old)
    assert open_to_others(state) == {}


@pytest.mark.usefixtures("umask")
def test_an_operations_directory_is_private_with_its_parents(tmp_path: Path) -> None:
    logs = tmp_path / "infra" / "logs"
    task = _task(tmp_path, logs / "run-2")
    assert open_to_others(tmp_path / "infra") == {}
    assert Path(task["log_dir"]) == logs / "run-2"


def test_an_operations_directory_is_never_taken_over(tmp_path: Path) -> None:
    """One that is there already was prepared by somebody: its links would be written through."""
    (tmp_path / "logs" / "run-2").mkdir(parents=True)
    with pytest.raises(BackendError, match=r"run-2 cannot be made: File exists"):
        _task(tmp_path, tmp_path / "logs" / "run-2")
    (tmp_path / "logs" / "run-3").symlink_to(tmp_path)
    with pytest.raises(BackendError, match=r"run-3 cannot be made: File exists"):
        _task(tmp_path, tmp_path / "logs" / "run-3")
    for _ in range(2):  # an operation of several processes comes back to its own
        _task(tmp_path, tmp_path / "logs" / "run-4")


def _task(cwd: Path, logs: Path) -> Mapping[str, Any]:
    backend = Backend.choose(cwd, os.environ)
    task = build_task(
        "up",
        StackRef(project="p", stack="s"),
        None,
        operation="run-2",
        log_dir=str(logs),
        cli=Cli(path="/bin/pulumi", version="3.259.0"),
        backend=backend,
        cwd=cwd,
        environ=os.environ,
    )
    return {"log_dir": task.log_dir}


def test_no_log_and_no_snapshot_is_reached_through_a_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    link = tmp_path / "pulumi.log"
    link.symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"):
        files.open_log(link)
    with pytest.raises(OSError, match="symbolic links"):
        files.open_own(link)
    kept = Snapshots(SnapshotFiles(tmp_path / "snapshots"))
    digest = kept.keep("p", "s", {"deployment": {}})
    path = tmp_path / "snapshots" / f"{digest}.json.gz"
    path.rename(tmp_path / "moved")
    path.symlink_to(tmp_path / "moved")
    with pytest.raises(SnapshotError):
        kept.load(digest, "p", "s")
    assert victim.read_text() == "precious"


@pytest.mark.usefixtures("umask")
async def test_terraform_writes_its_state_for_nobody_else(tmp_path: Path) -> None:
    """A stand-in, which makes files as Terraform does: by the umask that it is given."""
    tool = tmp_path / "terraform"
    tool.write_text('#!/bin/sh\nmkdir -p made; echo s > "made/$1"\n')
    tool.chmod(0o700)
    (tmp_path / "module").mkdir()
    terraform = Terraform(work_dir=tmp_path / "module", program=str(tool))
    programs = ProgramRunner(Operation(id="op", interrupt=asyncio.Event()))
    await terraform.operate("apply", {}, tmp_path / "logs", programs, tuple)
    await terraform.state()
    made = tmp_path / "module" / "made"
    assert {path.name for path in made.iterdir()} == {"init", "apply", "state"}
    assert open_to_others(made, tmp_path / "logs") == {}


@pytest.mark.usefixtures("umask")
def test_the_stacks_for_this_machine_keep_to_it(tmp_path: Path) -> None:
    stack_files.make_directory(tmp_path / "a" / "b" / "c")
    assert open_to_others(tmp_path / "a") == {}
