"""What a worker that died leaves: a CLI that works on is waited for, one to be is none."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import psutil
import pytest
from msgspec import structs

from alma.core.events import Process
from alma.pulumi import recovery
from alma.pulumi.family import is_cli
from alma.system import processes
from tests.pulumi import programs
from tests.pulumi.conftest import Place


def executable(folder: str) -> Path | None:
    """The CLI itself in this folder of PATH's, where it is: the tests put a script before it."""
    path = Path(folder, "pulumi")
    try:
        with path.open("rb") as file:
            return None if file.read(2) == b"#!" else path
    except OSError:
        return None


async def test_a_cli_does_not_begin_without_its_worker(place: Place) -> None:
    """Killed when it has just started one: nobody could tell that from one that it has not."""
    operation = place.operation()

    def killed(role: str, process: Process) -> None:
        place.processes.setdefault(operation.id, []).append((role, process))
        if role == "cli":
            psutil.Process(place.worker(operation).pid).kill()

    request = place.request(programs.one, create=True)
    result = await place.engine.up(request, structs.replace(operation, on_process=killed))
    assert result.failure is not None
    assert result.failure.kind == "worker"
    assert processes.find(place.cli(operation)) is None
    assert not any("dev" in line.split() for line in place.commands())
    assert not (await place.engine.inspect(place.ref())).exists


@pytest.mark.parametrize("then", ['exec -a engine "{cli}" "$@"', '(exec -a engine "{cli}" "$@")'])
async def test_a_cli_that_is_a_script_is_waited_for(
    then: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose interpreter has options; it becomes a program of another name, or starts one."""
    monkeypatch.setattr(recovery, "_PLUGINS_GO", 0.1)
    cli = next(filter(None, map(executable, os.get_exec_path())))
    script = place.root.parent / "bin" / "pulumi"
    script.write_text(f"#!/bin/bash -e\n{then.format(cli=cli)}\n")
    script.chmod(0o755)
    gate, operation, running = await place.waiting()
    psutil.Process(place.worker(operation).pid).kill()
    done, _ = await asyncio.wait({running}, timeout=1)
    assert not done
    gate.touch()
    result = await running
    assert result.failure is not None
    assert result.failure.kind == "worker"
    checkpoint = await place.engine.inspect(place.ref())
    assert any(resource.urn.endswith("::slow") for resource in checkpoint.resources)
    assert not checkpoint.pending
    assert not place.live_locks()


@pytest.mark.parametrize(
    ("words", "known"),
    [
        (["pulumi", "up"], True),
        (["/opt/pulumi", "up"], True),
        (["/bin/bash", "/opt/pulumi", "up"], True),
        (["/bin/bash", "-e", "/opt/pulumi", "up"], True),
        (["python3", "-I", "-S", "/opt/pulumi", "up"], True),
        (["/opt/pulumi-resource-random", "127.0.0.1:1"], False),
        (["python3", "-m", "serve", "pulumi"], False),
        (["kubectl", "-n", "pulumi", "port-forward", "db"], False),
        (["tail", "-f", "pulumi"], False),
        (["/bin/sh", "-c", "sleep 1", "a", "pulumi"], False),
    ],
)
def test_a_cli_is_known_by_its_command_line(words: list[str], known: bool) -> None:
    class Named(psutil.Process):
        def cmdline(self) -> list[str]:
            return words

    assert is_cli(Named()) is known
