"""What does and undoes a step that is a saga: runs of its own, in the same journal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from alma.core.event_parts import Parent
from alma.core.events import Leftover
from alma.core.operation import Operation, Reconciled
from alma.core.result import Result, SagaEndedError
from alma.core.run import OpenOperation, RunStatus, StepStatus
from alma.core.secret import secrets_in
from alma.errors import AlmaError, DefinitionError, JournalError
from alma.steps.base import (
    Compensated,
    Outcome,
    StepContext,
    StepHandler,
    StepPreview,
)
from alma.steps.nested import Nested
from alma.steps.saga.ends import (
    COMPENSATED,
    COMPLETED,
    Ended,
    brought_up,
    flat,
    is_well,
    left_of,
    undone,
)
from alma.steps.saga.items import EACH, items_of, require_saga
from alma.steps.step import Output


@dataclass(kw_only=True)
class SagaHandler(StepHandler):
    """Without `sagas` and `make` it can undo what the journal knows, and begin nothing."""

    name: str
    nested: Nested | None = None
    sagas: Mapping[str, Any] = field(default_factory=dict)
    make: Callable[..., Any] | None = None
    at_once: int = 4
    alone: bool = False
    inputs: Mapping[str, Any] = field(default_factory=dict)
    target: str = ""
    digest: str = ""
    lacks: str = ""
    keeps_outputs: ClassVar[bool] = True

    async def execute(self, call: StepContext) -> None:
        """One run for each item, at most `at_once` at a time; after a failure no further."""

        async def work(_operation: Operation) -> Outcome:
            values = dict(await call.inputs())
            ended = await self._each(
                self._items(values),
                lambda item, saga: self._bring_up(call, item, saga, values),
                stops=True,
            )
            return brought_up(ended, began=bool(call.status.children))

        await call.perform("action", work)

    async def compensate(self, call: StepContext) -> Compensated | None:
        """Undo each run that has begun, as a whole; in a destroy, take down what each saga has."""
        if call.kind == "destroy":
            return await self._take_down(call)
        runs = self._runs(call.status)
        left = {item: run for item, run in runs.items() if run.state is not COMPENSATED}
        if left:

            async def work(_operation: Operation) -> Outcome:
                ended = await self._each(left, lambda item, run: self._undo(call, item, run))
                return undone(ended, self.name, COMPENSATED)

            if (await call.perform("compensation", work)).failure is not None:
                return None
        evidence = {run.definition.target: run.run for run in runs.values()}
        return Compensated(how="undone" if left else "nothing", evidence={"runs": evidence})

    def saga_of(self, item: str) -> Any:
        """As it is in the file; None where there is none."""
        return self._saga(item)

    async def reveal_outputs(self, call: StepContext) -> Mapping[str, Any]:
        """As each run has left them; secrets from where its own steps keep them."""
        found: dict[str, Any] = {}
        for item, child in call.status.children.items():
            found |= flat(item, await self._nested.reveal(child.run))
        return found

    async def current_outputs(self, names: frozenset[str]) -> Mapping[str, Any]:  # noqa: ARG002
        """Those of the newest run of each item, where it has completed."""
        newest: dict[str, RunStatus] = {}
        for run in self._nested.known(self.target, self.name):
            newest.setdefault(run.parent.item if run.parent else "", run)
        found: dict[str, Any] = {}
        for item, run in newest.items():
            if run.state is COMPLETED and run.kind == "up":
                found |= flat(item, await self._nested.reveal(run.run))
        return found

    async def leftovers(self, status: StepStatus, reason: str) -> tuple[Leftover, ...]:
        """What the runs have named; of one that was not undone, each step that it has begun."""
        found: list[Leftover] = []
        for run in self._runs(status).values():
            found += left_of(run, self.name, reason)
        return tuple(found)

    async def preview(self, inputs: Mapping[str, Any] | None) -> StepPreview:
        """As of each saga; what it is given may be known only during `up`."""
        if isinstance(self.inputs.get(EACH), Output) and inputs is None:
            return StepPreview(
                what="a saga for each item that another step gives",
                undo="undone as a whole",
                undoable=True,
                later=True,
            )
        found = {}
        sagas = self._items(inputs or {})
        for item, saga in sagas.items():
            found[item] = await self._nested.preview(saga, inputs or {})
        changes: dict[str, int] | None = {}
        for one in found.values():
            for op, count in (one.changes or {}).items():
                changes = {**(changes or {}), op: (changes or {}).get(op, 0) + count}
        unknown = any(one.changes is None for one in found.values())
        failed = (one.failure for one in found.values() if one.failure is not None)
        what = ", ".join(f"saga {saga.target}" for saga in sagas.values()) or "no saga"
        return StepPreview(
            what=what,
            undo="undone as a whole",
            undoable=all(one.undoable for one in found.values()),
            changes=None if unknown else changes,
            failure=next(failed, None),
            at_risk=tuple(risk for one in found.values() for risk in one.at_risk),
            later=unknown,
            within=tuple(
                f"{sagas[item].target} {line}" for item, one in found.items() for line in one.steps
            ),
        )

    async def reconcile(self, operation: OpenOperation) -> Reconciled:  # noqa: ARG002 - one Protocol
        """Its runs stand in the journal, and each finds out for itself what was cut off."""
        return Reconciled(found="its runs are gone on with as the journal has them")

    # -- one run -------------------------------------------------------------------------------

    async def _bring_up(
        self, call: StepContext, item: str, saga: Any, values: Mapping[str, Any]
    ) -> Result:
        known = call.status.children.get(item)
        before = self._nested.find(known.run) if known is not None else None
        parent = self._parent(call, item)
        if before is not None and before.state is not COMPENSATED:
            going = before.direction == "forward" or before.state is COMPLETED
            try:
                return await self._nested.go_on(saga, before.run, parent)
            except SagaEndedError as error:
                if going or error.result.state is not COMPENSATED:
                    raise
        run = self._nested.new_run()
        call.asking.adopt(item, run, saga.target)
        given = {key: value for key, value in values.items() if key != EACH}
        return await self._nested.up(saga, run, parent, given)

    async def _undo(self, call: StepContext, item: str, run: RunStatus) -> Result:
        return await self._nested.undo(self._saga(item), run.run, self._parent(call, item))

    async def _take_down(self, call: StepContext) -> Compensated | None:
        async def work(_operation: Operation) -> Outcome:
            asked = isinstance(self.inputs.get(EACH), Output)
            values = await call.inputs() if asked else {}
            sagas = self._items(values)
            for run in self._nested.known(self.target, self.name):
                item = run.parent.item if run.parent else ""
                if item not in sagas and run.kind == "up":
                    sagas[item] = self._saga(item)
            ended = await self._each(sagas, lambda item, saga: self._destroy(call, item, saga))
            return undone(ended, self.name, COMPLETED)

        if (await call.perform("compensation", work)).failure is not None:
            return None
        evidence = {child.target: child.run for child in call.status.children.values()}
        return Compensated(how="destroyed", evidence={"runs": evidence})

    async def _destroy(self, call: StepContext, item: str, saga: Any) -> Result:
        known = call.status.children.get(item)
        parent = self._parent(call, item)
        if known is not None and self._nested.find(known.run) is not None:
            return await self._nested.go_on(saga, known.run, parent)
        if saga is None:
            raise DefinitionError(
                f'Step "{self.name}": to take down what it has made, its saga is needed.',
                hint="Give the saga's file with --target (or saga=...).",
            )
        run = self._nested.new_run()
        call.asking.adopt(item, run, saga.target)
        return await self._nested.destroy(saga, run, parent)

    # -- all of them ---------------------------------------------------------------------------

    async def _each(
        self,
        items: Mapping[str, Any],
        do: Callable[[str, Any], Awaitable[Result]],
        *,
        stops: bool = False,
    ) -> dict[str, Ended]:
        """What became of each. With `stops` no further one begins after one that did not end well.

        What the journal says of itself is raised: then nobody may go on.
        """
        ended: dict[str, Ended] = {}
        free = asyncio.Semaphore(self.at_once)

        async def one(item: str, what: Any) -> None:
            async with free:
                if stops and any(not is_well(each, COMPLETED) for each in ended.values()):
                    return
                try:
                    ended[item] = await do(item, what)
                except JournalError:
                    raise
                except SagaEndedError as error:
                    ended[item] = error.result
                except AlmaError as error:
                    ended[item] = error

        tasks = [asyncio.create_task(one(item, what)) for item, what in items.items()]
        try:
            await asyncio.gather(*tasks)
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise
        return ended

    @property
    def _nested(self) -> Nested:
        assert self.nested is not None  # noqa: S101 - only who asks what it lacks gives none
        return self.nested

    def _parent(self, call: StepContext, item: str) -> Parent:
        return Parent(run=call.run, step=self.name, item=item)

    def _runs(self, status: StepStatus) -> dict[str, RunStatus]:
        """Those that have begun, by item, the newest first."""
        last_first = reversed([*status.children.items()])
        found = {item: self._nested.find(child.run) for item, child in last_first}
        return {item: run for item, run in found.items() if run is not None}

    def _saga(self, item: str) -> Any:
        if item in self.sagas or self.make is None:
            return self.sagas.get(item)
        if self.alone:
            return None if item else self.make()
        return self.make(item)

    def _items(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The sagas by item. Raises DefinitionError for items that another step gives amiss."""
        if self.make is None or (EACH not in self.inputs and not self.alone):
            return dict(self.sagas)
        where = f'Step "{self.name}"'
        names = values.get(EACH, self.inputs.get(EACH))
        if any(secrets_in([names])):
            raise DefinitionError(f"{where}: what for_each goes over must not be secret.")
        if self.alone:
            sagas = {"": self.make()}
        else:
            sagas = {item: self.make(item) for item in items_of(where, names)}
        for saga in sagas.values():
            require_saga(where, saga)
        return sagas
