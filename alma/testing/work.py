"""What the fake of Pulumi does within one operation, and the faults that strike there."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NoReturn

from msgspec.structs import replace

from alma.core.events import IN_DOUBT, Failure, ResourceChange
from alma.core.operation import Operation
from alma.pulumi.engine import Resource, StackRef
from alma.testing.faults import Fault, Life, hang, interrupted
from alma.testing.world import FakeProgram, FakeWorld, Key, resource_of


@dataclass
class FakeWork:
    """A `FakeWorld`, the programs that change it, and the faults on their way."""

    programs: Mapping[str, FakeProgram] = field(default_factory=dict)
    faults: Iterable[Fault] = ()
    life: Life | None = None
    reality: FakeWorld = field(default_factory=FakeWorld)
    calls: list[tuple[str, str]] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    _working: set[Key] = field(default_factory=set)

    def _die(self) -> NoReturn:
        (self.life or Life()).end()

    def _check(self) -> None:
        if self.life is not None:
            self.life.check()

    def _fault(self, ref: StackRef, operation: str) -> Fault | None:
        self._check()
        key = (operation, ref.project)
        self.counts[key] += 1
        if operation != "inspect":
            self.calls.append(key)
        for fault in self.faults:
            if (fault.operation, fault.project, fault.nth) == (*key, self.counts[key]):
                return fault
        return None

    @contextmanager
    def _at_work(self, key: Key) -> Iterator[None]:
        self._working.add(key)
        try:
            yield
        finally:
            self._working.discard(key)

    async def _do(
        self,
        key: Key,
        work: Sequence[tuple[str, Resource]],
        fault: Fault | None,
        operation: Operation,
        touched: list[ResourceChange],
    ) -> Failure | None:
        # What a CLI had begun before and was not a create, the next one forgets, and does again.
        creates = tuple(op for op in self.reality.state(key).pending if op.kind == "creating")
        if self.reality.state(key).exists:
            self.reality.put(key, replace(self.reality.state(key), pending=creates))
        for index, (kind, resource) in enumerate(work):
            if fault is not None and index == fault.after and fault.effect != "lie":
                return await self._strike(key, fault, operation, work[index:], touched)
            if kind == "same":
                continue
            if fault is not None and fault.effect == "lie" and index >= fault.after:
                continue
            if operation.interrupt.is_set():
                return interrupted(operation)
            await self._turn(key, work[index:], operation)
            (self.reality.create if kind == "creating" else self.reality.delete)(key, resource)
            op = "create" if kind == "creating" else "delete"
            touched.append(ResourceChange(urn=resource.urn, op=op, id=resource.id))
        if fault is not None and fault.effect != "lie":
            return await self._strike(key, fault, operation, (), touched)
        return None

    async def _turn(
        self, key: Key, rest: Sequence[tuple[str, Resource]], operation: Operation
    ) -> None:
        """The provider at work on one resource; if its runner goes, the CLI goes on alone."""
        kind, resource = rest[0]
        operation.on_resource(resource.urn, kind, False)  # noqa: FBT003 - done
        try:
            await asyncio.sleep(0)
            self._check()
        except BaseException:
            self._outlives(key, rest)
            raise
        operation.on_resource(resource.urn, kind, True)  # noqa: FBT003 - done

    def _outlives(self, key: Key, rest: Sequence[tuple[str, Resource]]) -> None:
        """A destroy needs no program and goes on to its end; an up ends after what it began."""
        alone = rest if all(kind == "deleting" for kind, _ in rest) else rest[:1]
        self.reality.at_work[key] = tuple(alone)

    async def _strike(
        self,
        key: Key,
        fault: Fault,
        operation: Operation,
        rest: Sequence[tuple[str, Resource]],
        touched: list[ResourceChange],
    ) -> Failure:
        effect = fault.effect
        root = StackRef(project=key[0], stack=key[1])
        kind, resource = rest[0] if rest else ("same", resource_of(root, "root"))
        if effect == "crash":
            self._die()
        if effect == "drain":
            self._outlives(key, rest)
            self._die()
        if effect in ("pending", "power") and kind != "same":
            self.reality.cut_off(key, resource, kind)
        if effect == "leak" and kind == "creating":
            self.reality.things.add(resource.urn)
            touched.append(ResourceChange(urn=resource.urn, op=IN_DOUBT))
        if effect == "power":
            self._die()
        if effect == "hang":
            return await hang(operation)
        if effect == "pending":
            return Failure(kind="unknown", message="the CLI was killed")
        name = resource.urn.rpartition("::")[2]
        message = f"fault injected at {name}"
        if effect == "leak":
            message = "error reading from server: EOF"
        return Failure(kind="provider", message=message, urn=resource.urn)


def key_of(ref: StackRef) -> Key:
    """Where the world keeps a stack."""
    return ref.project, ref.stack
