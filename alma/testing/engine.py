"""A fake of Pulumi that keeps the promises of `alma.pulumi.engine.Engine`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from alma.core.drift import ResourceDrift
from alma.core.event_parts import NONE_GONE, Gone
from alma.core.events import Failure, Process, ResourceChange
from alma.core.operation import Difference, Operation, Reconciled
from alma.errors import BackendError
from alma.pulumi.engine import (
    Checkpoint,
    OperationResult,
    RestorePreview,
    RestoreRequest,
    RestoreResult,
    StackRef,
    UpRequest,
)
from alma.testing.faults import LOCKED, Fault, Life
from alma.testing.work import FakeWork, key_of
from alma.testing.world import FakeProgram, Key, count, resource_of, seal


@dataclass
class FakeEngine(FakeWork):
    """An `Engine` over a `FakeWorld`. `calls` is what was asked, in order; `counts` how often.

    Without a `life` a crash is only raised, and the next runner may use the same engine.
    """

    @property
    def world(self) -> dict[Key, Checkpoint]:
        """The state of every stack that has a record."""
        return self.reality.states

    def restarted(self, faults: Iterable[Fault] = (), life: Life | None = None) -> FakeEngine:
        """The engine of the next runner: the same world, and faults of its own."""
        return FakeEngine(self.programs, faults, life, self.reality)

    def existing(self, project: str, stack: str, *names: str) -> None:
        """Put a stack with these resources into the world, as an earlier run left it."""
        ref = StackRef(project=project, stack=stack)
        self.reality.put(key_of(ref), Checkpoint(exists=True))
        for name in names:
            self.reality.create(key_of(ref), resource_of(ref, name))

    async def check(
        self,
        refs: Sequence[StackRef] = (),  # noqa: ARG002
        *,
        write: bool = False,  # noqa: ARG002
    ) -> Mapping[str, str]:
        """Always fine."""
        return {"backend": "fake://", "pulumi": "fake"}

    def where(self, ref: StackRef) -> str:
        """A stack's own backend, if it has one."""
        return ref.backend or "fake://"

    async def inspect(self, ref: StackRef) -> Checkpoint:
        """What the state holds; BackendError under an `unreadable` fault."""
        if (fault := self._fault(ref, "inspect")) is not None:
            if fault.effect == "crash":
                self._die()
            raise BackendError(f"The state of {ref.project} cannot be read.")
        return self.reality.state(key_of(ref))

    async def holder(self, ref: StackRef) -> str:  # noqa: ARG002
        """Nobody."""
        return ""

    async def reveal(self, ref: StackRef) -> Mapping[str, Any]:
        """The outputs as the program gave them."""
        self._check()
        return self.reality.opened.get(key_of(ref), {})

    async def compiled(self, ref: StackRef) -> tuple[str, ...]:  # noqa: ARG002
        """None."""
        return ()

    async def up(self, request: UpRequest, operation: Operation) -> OperationResult:
        """Make what the program names and the state lacks, and delete what it does not name."""
        ref, key, fault = request.ref, key_of(request.ref), self._fault(request.ref, "up")
        if key in self.reality.at_work or key in self._working:
            return OperationResult(failure=LOCKED, began=False)
        program = self.programs.get(ref.project, FakeProgram())
        wanted = [resource_of(ref, name) for name in program.resources]
        self.reality.put(key, self.reality.state(key))
        if request.refresh:
            self.reality.refresh(key)
        held = self.reality.state(key).resources
        work = [("creating" if new not in held else "same", new) for new in wanted]
        work += [("deleting", old) for old in reversed(held) if old not in wanted]
        touched: list[ResourceChange] = []
        with self._at_work(key):
            failure = await self._do(key, work, fault, operation, touched)
        if failure is not None:
            return OperationResult(failure=failure, resources=tuple(touched))
        outputs = dict(program.outputs)
        self.reality.opened[key] = outputs
        left = self.reality.put(key, replace(self.reality.state(key), outputs=seal(outputs)))
        done = OperationResult(changes=count(work), resources=tuple(touched), outputs=left.outputs)
        return replace(done, fingerprint=left.fingerprint)

    async def preview(self, request: UpRequest, operation: Operation) -> OperationResult:  # noqa: ARG002
        """What `up` would make."""
        self._check()
        program = self.programs.get(request.ref.project, FakeProgram())
        held = self.reality.state(key_of(request.ref)).resources
        made = (resource_of(request.ref, name) for name in program.resources)
        there = [one for one in held if not request.refresh or one.urn in self.reality.things]
        new = tuple(ResourceChange(urn=one.urn, op="create") for one in made if one not in there)
        return OperationResult(changes={"create": len(new)} if new else {}, resources=new)

    async def drift(self, ref: StackRef, operation: Operation) -> OperationResult:  # noqa: ARG002
        """What the state holds and the world has no more; under a fault nothing is told."""
        held = self.reality.state(key_of(ref)).resources
        if (fault := self._fault(ref, "drift")) is not None:
            if fault.effect == "crash":
                self._die()
            words = "the provider cannot be reached"
            return OperationResult(failure=Failure(kind="provider", message=words))
        gone = tuple(
            ResourceDrift(urn=one.urn, op="delete", id=one.id, type=one.type)
            for one in held
            if one.urn not in self.reality.things
        )
        return OperationResult(drifted=gone, asked=tuple(one.urn for one in held))

    async def destroy(
        self,
        ref: StackRef,
        log_dir: str,  # noqa: ARG002
        operation: Operation,
        program: UpRequest | None = None,  # noqa: ARG002
    ) -> OperationResult:
        """Take away what the state holds, last made first; pending operations stay."""
        key, fault = key_of(ref), self._fault(ref, "destroy")
        if key in self.reality.at_work or key in self._working:
            return OperationResult(failure=LOCKED)
        work = [("deleting", old) for old in reversed(self.reality.state(key).resources)]
        touched: list[ResourceChange] = []
        with self._at_work(key):
            failure = await self._do(key, work, fault, operation, touched)
        changes = {"delete": len(touched)} if touched else {}
        return OperationResult(failure=failure, changes=changes, resources=tuple(touched))

    async def remove(self, ref: StackRef, log_dir: str, operation: Operation) -> OperationResult:  # noqa: ARG002
        """Drop the record; refused while it shows anything, as the real engine does."""
        fault = self._fault(ref, "remove")
        if fault is not None and fault.effect == "crash" and fault.after == 0:
            self._die()
        if fault is not None and fault.effect == "lie":
            return OperationResult()
        if fault is not None and fault.effect != "crash":
            return OperationResult(failure=Failure(kind="unknown", message="rm failed"))
        if not self.reality.state(key_of(ref)).is_empty:
            return OperationResult(failure=Failure(kind="unverified", message="it shows resources"))
        self.reality.states.pop(key_of(ref), None)
        if fault is not None:
            self._die()
        return OperationResult()

    async def export(self, ref: StackRef) -> Mapping[str, Any] | None:
        """A document that stands for what the state holds."""
        self._check()
        return self.reality.keep(key_of(ref))

    async def restore(self, request: RestoreRequest, operation: Operation) -> RestoreResult:
        """Make what is missing again, and delete what was not there."""
        key, fault = key_of(request.ref), self._fault(request.ref, "restore")
        if key in self.reality.at_work or key in self._working:
            return RestoreResult(failure=LOCKED)
        wanted, opened = self.reality.kept[request.document["kept"]]
        held = self.reality.state(key).resources
        work = [("same" if old in held else "creating", old) for old in wanted.resources]
        work += [("deleting", new) for new in reversed(held) if new not in wanted.resources]
        touched: list[ResourceChange] = []
        with self._at_work(key):
            failure = await self._do(key, work, fault, operation, touched)
        now = self.reality.state(key)
        different = set(now.resources) ^ set(wanted.resources)
        if not different:
            self.reality.opened[key] = opened
            self.reality.put(key, replace(now, outputs=wanted.outputs))
        lie = Failure(kind="unverified", message="the stack is not as it was before")
        return RestoreResult(
            failure=(failure or lie) if different else None,
            changes=count(work) if not different else {},
            resources=tuple(touched),
            different=tuple(
                Difference(urn=one.urn, id=one.id, reason="not as before")
                for one in sorted(different, key=lambda one: one.urn)
            ),
        )

    async def preview_restore(
        self,
        request: RestoreRequest,
        operation: Operation,  # noqa: ARG002
    ) -> RestorePreview:
        """What is missing, and what was not there."""
        self._check()
        held = self.reality.state(key_of(request.ref)).resources
        wanted, _ = self.reality.kept[request.document["kept"]]
        return RestorePreview(
            deleted=tuple(
                Difference(urn=one.urn, id=one.id, reason="")
                for one in held
                if one not in wanted.resources
            ),
            renewed=tuple(
                Difference(urn=one.urn, id=one.id, reason="")
                for one in wanted.resources
                if one not in held
            ),
        )

    async def resolve_pending(
        self,
        ref: StackRef,
        found: Mapping[str, str],
        operation: Operation,  # noqa: ARG002
    ) -> None:
        """Pending creates that are in `found` become resources, all others are dropped."""
        self._check()
        self.reality.mend(key_of(ref), found)

    async def let_go(
        self,
        ref: StackRef,
        taken: Collection[tuple[str, str]],
        operation: Operation,  # noqa: ARG002
    ) -> None:
        """Deleted from the state, these stay in the world."""
        self._check()
        state = self.reality.state(key_of(ref))
        resources = tuple(
            replace(one, retain_on_delete=True) if (one.urn, one.id) in taken else one
            for one in state.resources
        )
        self.reality.put(key_of(ref), replace(state, resources=resources))

    async def reconcile(
        self,
        ref: StackRef,
        operation: str,  # noqa: ARG002
        processes: tuple[Process, ...],  # noqa: ARG002
        gone: Gone = NONE_GONE,  # noqa: ARG002
    ) -> Reconciled:
        """Wait for a CLI that has outlived its runner."""
        self._check()
        waited = self.reality.land(key_of(ref))
        return Reconciled(found="waited for pulumi to end" if waited else "nothing is at work")

    async def close(self) -> None:
        """Nothing to end."""
