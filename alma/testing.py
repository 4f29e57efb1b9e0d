"""Public fakes and fault points: what alma's own tests use, for tests of your sagas as well.

`FakeEngine` stands in for Pulumi: stacks live in a dict, faults are data. It keeps the same
Protocol and the same promises as the real engine; tests/engine/test_fake_agrees.py runs one
schedule through both.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from alma.engine.protocol import (
    Checkpoint,
    OperationResult,
    PendingOperation,
    Resource,
    Settled,
    StackRef,
    UpRequest,
    Watch,
)
from alma.errors import BackendError
from alma.events import Failure, Process, ResourceChange

FaultEffect = Literal["fail", "crash", "pending", "lie", "hang", "unreadable"]


class Crash(BaseException):
    """What a fault of effect `crash` raises: the runner's process died at this point."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that goes wrong, in the `nth` call (from 1) of an operation on a project.

    `after`: how many resources the operation still gets done. Effects: `fail` ends it with a
    provider error; `crash` raises Crash; `pending` leaves a pending operation and fails; `lie`
    reports success with the rest not done; `hang` waits for the interrupt or the deadline;
    `unreadable` (inspect only) raises BackendError.
    """

    project: str
    operation: Literal["up", "destroy", "remove", "inspect"]
    effect: FaultEffect = "fail"
    nth: int = 1
    after: int = 0


@dataclass(frozen=True, kw_only=True)
class FakeProgram:
    """What a project's program makes: resource names in order, and outputs."""

    resources: tuple[str, ...] = ("one", "two")
    outputs: Mapping[str, Any] = field(default_factory=lambda: {"url": "fake://"})


@dataclass
class FakeEngine:
    """An `Engine` over a dict. `world` is the truth; `calls` what was asked, in order."""

    programs: Mapping[str, FakeProgram] = field(default_factory=dict)
    faults: Iterable[Fault] = ()
    world: dict[tuple[str, str], Checkpoint] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    secrets: dict[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)

    def existing(self, project: str, stack: str, *names: str) -> None:
        """Put a stack with these resources into the world, as an earlier run left it."""
        resources = tuple(_resource(StackRef(project=project, stack=stack), n) for n in names)
        self._put((project, stack), Checkpoint(exists=True, resources=resources))

    async def check(self) -> Mapping[str, str]:
        """Always fine."""
        return {"backend": "fake://", "pulumi": "fake"}

    async def inspect(self, ref: StackRef) -> Checkpoint:
        """What the world holds; BackendError under an `unreadable` fault."""
        fault = self._fault(ref, "inspect")
        if fault is not None and fault.effect == "crash":
            raise Crash
        if fault is not None:
            raise BackendError(f"The state of {ref.project} cannot be read.")
        return self.world.get(_key(ref), Checkpoint(exists=False))

    async def reveal(self, ref: StackRef) -> Mapping[str, Any]:
        """The outputs as the program gave them."""
        return self.secrets.get(_key(ref), {})

    async def up(self, request: UpRequest, watch: Watch) -> OperationResult:
        """Make what the program names and the world lacks."""
        ref, fault = request.ref, self._fault(request.ref, "up")
        program = self.programs.get(ref.project, FakeProgram())
        state = self.world.get(_key(ref), Checkpoint(exists=True))
        self._put(_key(ref), replace(state, exists=True))
        touched: list[ResourceChange] = []
        same = 0
        for index, name in enumerate(program.resources):
            if fault is not None and index == fault.after:
                return await self._strike(ref, fault, watch, touched, name, "creating")
            resource = _resource(ref, name)
            if resource in self.world[_key(ref)].resources:
                same += 1
                continue
            await self._pause(watch, resource, "create")
            state = self.world[_key(ref)]
            self._put(_key(ref), replace(state, resources=(*state.resources, resource)))
            touched.append(ResourceChange(urn=resource.urn, op="create", id=resource.id))
        if fault is not None:
            return await self._strike(ref, fault, watch, touched, "root", "updating")
        outputs = dict(program.outputs)
        self._put(_key(ref), replace(self.world[_key(ref)], outputs=outputs, pending=()))
        self.secrets[_key(ref)] = outputs
        changes = {"create": len(touched), "same": same}
        return OperationResult(
            changes={op: n for op, n in changes.items() if n},
            resources=tuple(touched),
            outputs=outputs,
        )

    async def preview(self, request: UpRequest, watch: Watch) -> OperationResult:  # noqa: ARG002
        """What `up` would make."""
        program = self.programs.get(request.ref.project, FakeProgram())
        held = self.world.get(_key(request.ref), Checkpoint(exists=False)).resources
        new = [name for name in program.resources if _resource(request.ref, name) not in held]
        return OperationResult(changes={"create": len(new)} if new else {})

    async def destroy(self, ref: StackRef, log_dir: str, watch: Watch) -> OperationResult:  # noqa: ARG002
        """Take away what the state holds, last made first; pending operations stay."""
        fault = self._fault(ref, "destroy")
        state = self.world.get(_key(ref), Checkpoint(exists=False))
        touched: list[ResourceChange] = []
        for index, resource in enumerate(reversed(state.resources)):
            if fault is not None and index == fault.after:
                return await self._strike(ref, fault, watch, touched, resource.urn, "deleting")
            await self._pause(watch, resource, "delete")
            now = self.world[_key(ref)]
            rest = tuple(other for other in now.resources if other != resource)
            self._put(_key(ref), replace(now, resources=rest))
            touched.append(ResourceChange(urn=resource.urn, op="delete", id=resource.id))
        if fault is not None and fault.effect in ("crash", "fail"):
            return await self._strike(ref, fault, watch, touched, "root", "deleting")
        return OperationResult(changes={"delete": len(touched)}, resources=tuple(touched))

    async def remove(self, ref: StackRef, log_dir: str, watch: Watch) -> OperationResult:  # noqa: ARG002
        """Drop the record; refused while it holds resources, as Pulumi does."""
        fault = self._fault(ref, "remove")
        if fault is not None and fault.effect == "crash" and fault.after == 0:
            raise Crash
        if fault is not None and fault.effect == "fail":
            return OperationResult(failure=Failure(kind="unknown", message="rm failed"))
        state = self.world.get(_key(ref))
        if state is not None and state.resources:
            return OperationResult(failure=Failure(kind="unknown", message="it has resources"))
        self.world.pop(_key(ref), None)
        if fault is not None and fault.effect == "crash":
            raise Crash
        return OperationResult()

    async def settle(
        self,
        ref: StackRef,  # noqa: ARG002
        operation: str,  # noqa: ARG002
        processes: tuple[Process, ...],  # noqa: ARG002
    ) -> Settled:
        """Nothing of a fake outlives its runner."""
        return Settled(found="nothing is at work any more")

    async def close(self) -> None:
        """Nothing to end."""

    def _fault(self, ref: StackRef, operation: str) -> Fault | None:
        key = (operation, ref.project)
        self.counts[key] += 1
        if operation != "inspect":
            self.calls.append(key)
        for fault in self.faults:
            if (fault.operation, fault.project, fault.nth) == (*key, self.counts[key]):
                return fault
        return None

    async def _pause(self, watch: Watch, resource: Resource, op: str) -> None:
        watch.on_resource(resource.urn, op, False)  # noqa: FBT003 - done
        await asyncio.sleep(0)
        watch.on_resource(resource.urn, op, True)  # noqa: FBT003 - done

    async def _strike(
        self,
        ref: StackRef,
        fault: Fault,
        watch: Watch,
        touched: list[ResourceChange],
        name: str,
        kind: str,
    ) -> OperationResult:
        if fault.effect == "crash":
            raise Crash
        if fault.effect == "lie":
            return OperationResult(changes={}, resources=tuple(touched))
        failure = Failure(kind="provider", message=f"fault injected at {name}", urn=name)
        if fault.effect == "pending":
            state = self.world[_key(ref)]
            pending = (PendingOperation(urn=_resource(ref, name).urn, kind=kind),)
            self._put(_key(ref), replace(state, pending=pending))
        if fault.effect == "hang":
            failure = await _hang(watch)
        return OperationResult(failure=failure, resources=tuple(touched))

    def _put(self, key: tuple[str, str], state: Checkpoint) -> None:
        text = repr((state.resources, state.pending))
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        self.world[key] = replace(state, fingerprint=digest)


async def _hang(watch: Watch) -> Failure:
    try:
        await asyncio.wait_for(watch.interrupt.wait(), watch.timeout)
    except TimeoutError:
        watch.on_signal("SIGINT", "deadline")
        return Failure(kind="timeout", message=f"it did not end within {watch.timeout:g} s")
    watch.on_signal("SIGINT", "interrupt")
    return Failure(kind="cancelled", message="it was interrupted")


def _key(ref: StackRef) -> tuple[str, str]:
    return ref.project, ref.stack


def _resource(ref: StackRef, name: str) -> Resource:
    urn = f"urn:pulumi:{ref.stack}::{ref.project}::fake:index:Thing::{name}"
    return Resource(urn=urn, type="fake:index:Thing", id=f"{ref.project}-{name}")
