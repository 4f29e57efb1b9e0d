"""One way to bring stacks up and to disturb that, over the fake, the stub and the real CLI."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pulumi

from alma.core.events import Process
from alma.core.operation import Operation
from alma.pulumi.engine import Engine, OperationResult, StackRef, UpRequest
from alma.pulumi.family import family_of
from alma.pulumi.programs import serialize_program
from alma.system.processes import kill
from alma.testing import FakeEngine, FakeProgram, Fault
from tests.pulumi import programs

REF = StackRef(project="demo", stack="dev")


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What can be compared: whether it failed, and what the state shows then."""

    failed: bool
    exists: bool
    resources: tuple[str, ...]
    pending: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """`fail`, or what is done to the CLI while it works on the resource of that index."""

    at: int
    what: str  # fail, interrupt, kill


@dataclass
class Arena:
    """`told` are kinds of failure: the stub has no events to tell them by."""

    engine: Engine
    root: Path
    made: int = 0
    told: list[str] = field(default_factory=list)
    mark: str = field(default_factory=lambda: uuid4().hex)

    async def up(self, names: Sequence[str], trouble: Trouble | None = None) -> Shape:
        """Bring a stack of these resources up."""
        self.made += 1
        request = UpRequest(
            ref=REF,
            program=self.program(names, trouble),
            create=not (await self.engine.inspect(REF)).exists,
            log_dir=str(self.logs()),
        )
        operation = self.operation(trouble)
        work = asyncio.create_task(self.engine.up(request, operation))
        return await self.shape(await self.disturbed(work, operation, trouble))

    async def destroy(self) -> Shape:
        """Destroy it."""
        self.made += 1
        logs = str(self.logs())
        return await self.shape(await self.engine.destroy(REF, logs, self.operation(None)))

    async def remove(self) -> Shape:
        """Remove its record."""
        self.made += 1
        logs = str(self.logs())
        return await self.shape(await self.engine.remove(REF, logs, self.operation(None)))

    async def shape(self, result: OperationResult) -> Shape:
        """What there is after it."""
        self.told.append(result.failure.kind if result.failure else "")
        state = await self.engine.inspect(REF)
        providers = [r for r in state.resources if not r.type.startswith("pulumi:providers:")]
        return Shape(
            failed=result.failure is not None,
            exists=state.exists,
            resources=tuple(sorted(r.urn.rpartition("::")[2] for r in providers)),
            pending=tuple(sorted((p.name, p.kind) for p in state.pending)),
        )

    def logs(self) -> Path:
        """Where the operation's output goes."""
        return self.root / "logs" / str(self.made)

    def operation(self, trouble: Trouble | None) -> Operation:  # noqa: ARG002 - fakes act on it
        """One operation, with an id of its own."""
        return Operation(id=self.operation_id, interrupt=asyncio.Event())

    @property
    def operation_id(self) -> str:
        """The present one's. Its processes are found by it, and other tests run beside this one."""
        return f"op-{self.mark}-{self.made}"

    def program(self, names: Sequence[str], trouble: Trouble | None) -> bytes | None:
        """What is to be made."""
        raise NotImplementedError

    async def disturbed(
        self, work: asyncio.Task[OperationResult], operation: Operation, trouble: Trouble | None
    ) -> OperationResult:
        """The operation's end, after the trouble."""
        raise NotImplementedError


class FakeArena(Arena):
    """The public fake."""

    def program(self, names: Sequence[str], trouble: Trouble | None) -> None:
        assert isinstance(self.engine, FakeEngine)
        self.engine.programs = {"demo": FakeProgram(resources=tuple(names))}
        effect: Any = {"fail": "fail", "kill": "pending"}.get(trouble.what if trouble else "")
        nth = self.engine.counts["up", "demo"] + 1
        held = len(names) if trouble is None else trouble.at
        fault = Fault(project="demo", operation="up", effect=effect or "fail", nth=nth, after=held)
        self.engine.faults = [fault] if effect else []

    def operation(self, trouble: Trouble | None) -> Operation:
        operation = super().operation(trouble)
        begun: list[str] = []

        def on_resource(urn: str, _kind: str, done: bool) -> None:
            if not done:
                begun.append(urn)
            if trouble and trouble.what == "interrupt" and len(begun) == trouble.at + 1:
                operation.interrupt.set()

        operation.on_resource = on_resource
        return operation

    async def disturbed(
        self, work: asyncio.Task[OperationResult], operation: Operation, trouble: Trouble | None
    ) -> OperationResult:
        del operation, trouble  # in the program and the operation already
        return await work


class CliArena(Arena):
    """A CLI process: the pending operation in the state shows what it is at."""

    cli: Process | None = None

    def operation(self, trouble: Trouble | None) -> Operation:
        operation = super().operation(trouble)

        def on_process(role: str, process: Process) -> None:
            self.cli = process if role == "cli" else self.cli

        operation.on_process = on_process
        return operation

    async def disturbed(
        self, work: asyncio.Task[OperationResult], operation: Operation, trouble: Trouble | None
    ) -> OperationResult:
        if trouble is None or trouble.what == "fail":
            return await work
        name = f"r{trouble.at}"
        await until(lambda: self.is_at(name))
        if trouble.what == "interrupt":
            operation.interrupt.set()
            await until(self.has_heard)
            self.open_gate()
        else:
            assert self.cli is not None
            kill(family_of(operation.id, self.cli))
        result = await work
        self.open_gate()
        return result

    async def is_at(self, name: str) -> bool:
        """Whether the CLI is at work on this resource."""
        return any(p.name == name for p in (await self.engine.inspect(REF)).pending)

    async def has_heard(self) -> bool:
        """Whether the CLI has said that it was interrupted."""
        return "received; cancelling" in (self.logs() / "pulumi.log").read_text()

    def open_gate(self) -> None:
        """Let the resource in flight be finished."""
        (self.root / f"gate-{self.made}").touch()


class StubArena(CliArena):
    """The stub, behind the real engine."""

    def program(self, names: Sequence[str], trouble: Trouble | None) -> bytes:
        fault = {"op": "up", "after": trouble.at if trouble else 0}
        nth = 1 + _size(self.root / "world" / "demo.up.count")
        fails = [{**fault, "nth": nth}] if trouble and trouble.what == "fail" else []
        project = {"resources": list(names), "outputs": {}, "faults": fails}
        gate = str(self.root / f"gate-{self.made}") if _gated(trouble) else ""
        plan = {"delay": 0.0, "gate": gate, "at": trouble.at if trouble else 0}
        (self.root / "world" / "plan.json").write_text(
            json.dumps({**plan, "projects": {"demo": project}})
        )
        return serialize_program(programs.nothing, by_value=[programs])


class RealArena(CliArena):
    """The real CLI, with dynamic resources."""

    def program(self, names: Sequence[str], trouble: Trouble | None) -> bytes:
        gate = str(self.root / f"gate-{self.made}") if _gated(trouble) else ""
        bad = trouble.at if trouble else -1
        what = trouble.what if trouble else ""
        chosen = tuple(names)

        def program() -> None:
            last = None
            for index, name in enumerate(chosen):
                more: dict[str, Any] = {}
                if index == bad and what == "fail":
                    more["fail"] = "no"
                if index == bad and gate:
                    more["gate"] = gate
                depends = [last] if last is not None else []
                options = pulumi.ResourceOptions(
                    depends_on=depends, ignore_changes=["gate", "fail"]
                )
                last = programs.thing(name, opts=options, **more)

        return serialize_program(program, by_value=[programs])


def _gated(trouble: Trouble | None) -> bool:
    return trouble is not None and trouble.what in ("interrupt", "kill")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


async def until(condition: Callable[[], Any], seconds: float = 300) -> None:
    """Wait until the condition, a coroutine function, is so."""
    deadline = time.monotonic() + seconds
    while not await condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"still not so after {seconds:g} seconds")
        await asyncio.sleep(0.01)
