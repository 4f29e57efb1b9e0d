"""CLIs that change a state in a moment: told of before they begin, and waited for afterwards."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from asyncio.subprocess import PIPE
from datetime import UTC, datetime
from pathlib import Path
from shutil import which

import pytest
from msgspec import json, structs

from alma.core.events import Process
from alma.core.operation import Operation
from alma.pulumi.backend import Backend
from alma.pulumi.cli import PulumiCli, find_cli
from alma.pulumi.engine import StackRef
from alma.pulumi.local import PulumiEngine
from alma.pulumi.locks import AskedLocks, locks_of
from alma.system.processes import HOST
from tests.pulumi import programs
from tests.pulumi.conftest import Place, environment, python, until

REF = StackRef(project="demo", stack="dev")


async def let_go(operation: Operation) -> None:
    """By an import of the state."""
    engine = PulumiEngine()
    held = (await engine.inspect(REF)).resources
    await engine.let_go(REF, {(one.urn, one.id) for one in held}, operation)


async def break_lock(operation: Operation) -> None:
    """As where the state is in no directory: by a `pulumi cancel`."""
    backend = Backend.choose(Path.cwd(), os.environ)
    assert backend.root is not None
    reader = PulumiCli(cli=find_cli().path, environment=backend.environment(os.environ))
    locks = AskedLocks(reader=reader, ref=REF)
    await locks.remove(list(locks_of(backend.root, REF)), operation.id)


def main(way: str, name: str) -> None:
    """What a runner does, in a process of its own: it prints which processes it is told of."""

    def tell(_role: str, process: Process) -> None:
        sys.stdout.buffer.write(json.encode(process) + b"\n")
        sys.stdout.flush()

    async def work() -> None:
        await WAYS[way](Operation(id=name, interrupt=asyncio.Event(), on_process=tell))

    asyncio.run(work())


WAYS = {"import": let_go, "cancel": break_lock}


@pytest.mark.parametrize("way", WAYS)
async def test_one_whose_runner_was_killed_is_waited_for(place: Place, way: str) -> None:
    """It goes on by itself, and would undo what comes next."""
    assert (await place.up(programs.one)).failure is None
    if way == "cancel":
        _leave_lock(place)
    gate, operation = _hold(place, way), place.operation()
    code = f"from tests.pulumi.test_state_changes import main; main({way!r}, {operation.id!r})"
    command = python("-c", code)
    # Where no other process removes the directory of a CLI that has not read its project yet.
    environ = {**environment(), "TMPDIR": str(place.root)}
    runner = await asyncio.create_subprocess_exec(*command, env=environ, stdout=PIPE)
    await until(Path(f"{gate}.begun").exists)
    runner.kill()
    told, _ = await runner.communicate()
    journaled = tuple(json.decode(line, type=Process) for line in told.splitlines())
    assert len(journaled) == (way == "import")
    settling = asyncio.create_task(place.engine.reconcile(REF, operation.id, journaled))
    done, _ = await asyncio.wait({settling}, timeout=1)
    assert not done
    gate.touch()
    assert "waited for" in (await settling).found
    assert not place.live_locks()
    kept = {one.retain_on_delete for one in (await place.engine.inspect(REF)).resources}
    assert kept == {way == "import"}


async def test_one_that_is_not_journaled_does_not_begin(place: Place) -> None:
    assert (await place.up(programs.one)).failure is None

    def tell(_role: str, _process: Process) -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        await let_go(structs.replace(place.operation(), on_process=tell))
    assert not any("import" in line.split() for line in place.commands())
    assert not any(one.retain_on_delete for one in (await place.engine.inspect(REF)).resources)


def _leave_lock(place: Place) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        pass
    folder = place.root / ".alma/state/.pulumi/locks/organization/demo/dev"
    folder.mkdir(parents=True, exist_ok=True)
    told = {"pid": dead.pid, "username": "me", "hostname": HOST}
    lock = {**told, "timestamp": datetime.now(UTC).isoformat()}
    (folder / "left.json").write_bytes(json.encode(lock))


def _hold(place: Place, word: str) -> Path:
    """Have the CLI wait for the returned gate before it does this."""
    script, gate, cli = place.root.parent / "bin/pulumi", place.root / "gate", which("pulumi")
    script.write_text(
        "#!/bin/bash\n"
        f'if [[ " $* " == *" {word} "* ]]; then\n'
        f'  touch "{gate}.begun"\n'
        f'  until [ -e "{gate}" ]; do sleep 0.05; done\n'
        "fi\n"
        f'exec "{cli}" "$@"\n'
    )
    script.chmod(0o755)
    return gate
