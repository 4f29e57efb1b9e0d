"""What the engine's tests share: the real CLI, a place of their own, and records of what ran."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from alma.core.events import Process
from alma.core.operation import Operation
from alma.pulumi.engine import OperationResult, StackRef, UpRequest
from alma.pulumi.local import PulumiEngine
from alma.pulumi.programs import serialize_program
from tests.pulumi import programs


@dataclass
class Place:
    """One test's own directories, and the engine that works there."""

    root: Path
    engine: PulumiEngine
    argv: Path
    mark: str = field(default_factory=lambda: uuid4().hex)
    """Of its operations: their processes are found by it, and other tests run beside this one."""
    operations: list[Operation] = field(default_factory=list)
    processes: dict[str, list[tuple[str, Process]]] = field(default_factory=dict)
    signals: list[tuple[str, str]] = field(default_factory=list)
    resources: list[tuple[str, str, bool]] = field(default_factory=list)

    def ref(self, stack: str = "dev", project: str = "demo", work_dir: str = "") -> StackRef:
        """A stack of this test."""
        return StackRef(project=project, stack=stack, work_dir=work_dir)

    def operation(self, **options: Any) -> Operation:
        """An operation that notes what it is told; its id counts up."""
        name = f"op-{self.mark}-{len(self.operations) + 1}"
        operation = Operation(
            id=name,
            interrupt=asyncio.Event(),
            on_process=lambda role, process: self.processes.setdefault(name, []).append(
                (role, process)
            ),
            on_signal=lambda signal, why: self.signals.append((signal, why)),
            on_resource=lambda urn, op, done: self.resources.append((urn, op, done)),
            **options,
        )
        self.operations.append(operation)
        return operation

    def request(
        self, program: Callable[[], Any] | None = None, stack: str = "dev", **options: Any
    ) -> UpRequest:
        """A request to bring a stack up; the program travels by value, like a script's own."""
        options.setdefault("ref", self.ref(stack))
        return UpRequest(
            program=None if program is None else serialize_program(program, by_value=[programs]),
            log_dir=str(self.logs()),
            **options,
        )

    def logs(self) -> Path:
        """A log directory for the next operation."""
        return self.root / "logs" / str(len(self.operations) + 1)

    async def up(self, program: Callable[[], Any] | None = None, **options: Any) -> OperationResult:
        """Bring a stack up, making the record when there is none."""
        request = self.request(program, **options)
        if "create" not in options:
            exists = (await self.engine.inspect(request.ref)).exists
            request = self.request(program, **{**options, "create": not exists})
        return await self.engine.up(request, self.operation())

    async def destroy(self, stack: str = "dev") -> OperationResult:
        """Destroy a stack."""
        return await self.engine.destroy(self.ref(stack), str(self.logs()), self.operation())

    async def waiting(
        self, **options: Any
    ) -> tuple[Path, Operation, asyncio.Task[OperationResult]]:
        """An `up` whose first resource waits for the returned gate; options are its operation's."""
        gate = self.root / "gate"
        operation = self.operation(**options)
        request = self.request(programs.waits(str(gate)), create=True)
        running = asyncio.create_task(self.engine.up(request, operation))
        await until(Path(f"{gate}.begun").exists)
        return gate, operation, running

    def commands(self) -> list[str]:
        """The arguments of every Pulumi process so far, one line each."""
        return self.argv.read_text().splitlines() if self.argv.exists() else []

    def live_locks(self) -> list[Path]:
        """Lock files of the file backend."""
        return list((self.root / ".alma" / "state" / ".pulumi" / "locks").rglob("*.json"))

    def cli(self, operation: Operation) -> Process:
        """The last CLI process of this operation."""
        return [p for role, p in self.processes[operation.id] if role == "cli"][-1]

    def worker(self, operation: Operation) -> Process:
        """The worker of this operation."""
        return [p for role, p in self.processes[operation.id] if role == "worker"][-1]


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pulumi_cli: Path) -> Path:  # noqa: ARG001 - it must be there
    """A working directory, and a place for commands that come first on PATH.

    The arguments of each Pulumi process are noted.
    """
    work = tmp_path / "work"
    work.mkdir()
    tools = tmp_path / "bin"
    tools.mkdir()
    monkeypatch.setenv("ALMA_TEST_ARGV", str(tmp_path / "argv"))
    monkeypatch.setenv("PATH", str(tools), prepend=os.pathsep)
    monkeypatch.chdir(work)
    return work


@pytest.fixture
async def place(directory: Path) -> AsyncIterator[Place]:
    """An engine in a directory of its own, closed at the end."""
    engine = PulumiEngine(parallelism=2)
    yield Place(root=directory, engine=engine, argv=directory.parent / "argv")
    await engine.close()


async def until(condition: Callable[[], Any], seconds: float = 300) -> Any:
    """Wait until the condition gives something true, and return it; fail at the deadline."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"still not so after {seconds:g} seconds")
        await asyncio.sleep(0.02)
    return result


def environment() -> dict[str, str]:
    """The environment for a Python process that finds what this one finds."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def python(*arguments: str) -> list[str]:
    """A command line for this interpreter."""
    return [sys.executable, *arguments]
