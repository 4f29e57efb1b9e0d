"""The world of one case, which is the truth, and a watch over every effect on it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alma import Context, Secret
from alma.core.operation import Operation
from alma.core.run import RunStatus
from alma.journal.address import Address
from alma.pulumi.engine import (
    Checkpoint,
    OperationResult,
    RestoreRequest,
    RestoreResult,
    StackRef,
    UpRequest,
)
from alma.testing import FakeEngine, FakeProgram, Life
from alma.testing.world import FakeWorld, resource_of
from tests.faults.model import stores
from tests.faults.model.case import CANARY, STACK, Case, Turn

Row = tuple[str, int, str, int, str, dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Before:
    """What there was when a run was created; `traceless` is what no state knew of."""

    traceless: frozenset[str]
    states: Mapping[tuple[str, str], Checkpoint]
    things: frozenset[str]
    present: frozenset[tuple[str, str]]


@dataclass
class Stage:
    """`present` are the effects of actions, by run and step; `violations` what must not be."""

    case: Case
    journal: Path
    """What is kept beside the journal is beside this."""
    where: Address
    """The journal itself."""
    reality: FakeWorld = field(default_factory=FakeWorld)
    present: set[tuple[str, str]] = field(default_factory=set)
    before: dict[str, Before] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    skipped: set[tuple[str, int]] = field(default_factory=set)
    life: Life = field(default_factory=Life)
    turn: Turn = field(default_factory=Turn)
    called: Counter[tuple[str, int]] = field(default_factory=Counter)
    engine: FakeEngine = field(default_factory=FakeEngine)
    kinds: dict[str, str] = field(default_factory=dict)
    scope: dict[str, set[str]] = field(default_factory=dict)
    """By run, the names of the steps that it is about."""
    start: Before | None = None
    seen: dict[tuple[str, int], str] = field(default_factory=dict)
    """What the journal held when it was last looked at: run and seq to hash."""
    latest: RunStatus | None = None
    ends: list[str] = field(default_factory=list)
    """How each runner ended: a state, INTERRUPTED, `refused`, or `died`."""
    error: BaseException | None = None
    """What the last runner ended with."""
    durable: list[Row] = field(default_factory=list)
    """The journal's rows so far."""
    frozen: int = 0
    """Events in the journal when another runner took the lease over."""
    effects: int = 0
    effects_before: int = 0

    def begin(self, turn: Turn) -> None:
        """A new runner with its own faults, over the same world."""
        self.life, self.turn, self.called = Life(), turn, Counter()
        self.engine = WatchedEngine(self.programs(), turn.engine, self.life, self.reality)
        self.engine.stage = self
        self.start, self.frozen = self.snapshot(), 0
        self.effects_before = self.effects

    @property
    def effects_now(self) -> int:
        """Effects of this runner."""
        return self.effects - self.effects_before

    @property
    def leaked(self) -> set[str]:
        """What exists at the provider and no state knows of: nobody can find it from there."""
        known = {
            entry.urn
            for state in self.reality.states.values()
            for entry in (*state.resources, *state.pending)
        }
        return self.reality.things - known

    def snapshot(self) -> Before:
        """The world as it is now."""
        return Before(
            traceless=frozenset(self.leaked),
            states=dict(self.reality.states),
            things=frozenset(self.reality.things),
            present=frozenset(self.present),
        )

    def programs(self) -> dict[str, FakeProgram]:
        """What each stack step's program makes."""
        programs = {}
        for index, step in enumerate(self.case.steps):
            value = Secret(f"{CANARY}-{index}") if step.secret else f"plain-{index}"
            programs[self.case.project(index)] = FakeProgram(
                resources=tuple(f"r{number}" for number in range(step.size)),
                outputs={"value": value, "deep": {"list": [value]}},
            )
        return programs

    def wanted(self, index: int) -> set[str]:
        """The URNs that a step's program makes."""
        ref = StackRef(project=self.case.project(index), stack=STACK)
        names = (f"r{number}" for number in range(self.case.steps[index].size))
        return {resource_of(ref, name).urn for name in names}

    def things(self, index: int) -> set[str]:
        """What exists of a stack step at the provider."""
        mark = f"::{self.case.project(index)}::"
        return {urn for urn in self.reality.things if mark in urn}

    def state(self, index: int) -> Checkpoint:
        """What the state shows of a stack step."""
        return self.reality.state((self.case.project(index), STACK))

    def fail(self, text: str) -> None:
        """Note a violation."""
        self.violations.append(text)

    # -- the watch over effects ------------------------------------------------------------

    def rows(self) -> list[Row]:
        """What is durable, read past alma: run, epoch, type, seq, step, data.

        Only what is new is read: that the rest stays as it was is held by `check_journal`.
        """
        found = stores.events_after(self.where, len(self.durable))
        self.durable += [(*row[:5], json.loads(row[5])) for row in found]
        return self.durable

    def effect(self, kinds: tuple[str, ...], index: int, operation: str = "") -> str:
        """Something is about to change the world: its intent must stand; returns the run."""
        self.effects += 1
        rows = self.rows()
        run, name = rows[-1][0], self.case.name(index)
        self.meet(run, rows)
        if name not in self.scope[run]:
            self.fail(f"{kinds[0]} of {name}, which was not selected")
        mine = [row for row in rows if row[0] == run and row[4] == name]
        intents = [row for row in mine if row[2] == "OperationIntended"]
        last = intents[-1] if intents else None
        if (
            last is None
            or last[5]["kind"] not in kinds
            or operation not in ("", last[5]["operation"])
        ):
            self.fail(f"{kinds[0]} of {name} without its durable intent")
            return str(run)
        closed = ("OperationSucceeded", "OperationFailed")
        if any(row[3] > last[3] and row[2] in closed for row in mine):
            self.fail(f"{kinds[0]} of {name} after its outcome was journaled")
        done = [row[3] for row in mine if row[2] == "ReadyAwaited"]
        failed = [row[3] for row in mine if row[2] == "OperationFailed"]
        if kinds[0] in ("up", "action") and done and max(done) > max(failed, default=0):
            self.fail(f"{kinds[0]} of {name} again, although its work is done")
        if last[5]["kind"] == "up" and any(
            row[2] == "OperationSucceeded" and row[5]["kind"] == "up" for row in mine
        ):
            self.fail(f"up of {name} although it is completed in this run")
        if kinds[0] not in ("up", "action"):
            self._may_undo(run, index, rows, kinds[0])
        elif self.kinds[run] == "up":
            # A destroy may repeat an action, whose secrets a compensation needs.
            self._may_start(run, index, rows)
        return str(run)

    def meet(self, run: str, rows: list[Any]) -> None:
        """Note of a run what it is and what there was before it, the first time it is seen."""
        if run not in self.kinds and self.start is not None:
            self.before[run] = self.start
            created = next(row[5] for row in rows if row[0] == run and row[2] == "RunCreated")
            self.kinds[run] = created["kind"]
            self.scope[run] = {step["name"] for step in created["definition"]["steps"]}

    def _may_start(self, run: str, index: int, rows: list[Any]) -> None:
        done = {
            row[4]
            for row in rows
            if row[0] == run
            and row[2] == "OperationSucceeded"
            and row[5]["kind"] in ("up", "action")
        }
        for other in self.parents(index):
            name = self.case.name(other)
            if name not in self.scope[run]:
                continue
            there = (
                self.wanted(other) <= self.things(other)
                if self.case.steps[other].kind == "stack"
                else (run, name) in self.present
            )
            if name not in done or not there:
                self.fail(f"{self.case.name(index)} started before {name} was there")

    def _may_undo(self, run: str, index: int, rows: list[Any], undo: str) -> None:
        kind = self.kinds[run]
        old = self.before[run] if kind == "up" else None
        done = {
            row[4]
            for row in rows
            if row[0] == run
            and row[2] == "OperationSucceeded"
            and row[5]["kind"] in ("up", "action")
        }
        pivots = {self.case.name(i) for i, step in enumerate(self.case.steps) if step.pivot}
        if old and done & pivots:
            self.fail(f"{self.case.name(index)} undone past the pivot {done & pivots}")
        for other, step in enumerate(self.case.steps):
            if index not in self.parents(other) or (run, other) in self.skipped:
                continue
            if self.case.name(other) not in self.scope[run]:
                continue
            if step.kind == "stack":
                held = self.things(other) - (old.things if old else self.leaked)
            elif step.undo == "none":
                held = set()  # nobody said how to undo it, so nothing can wait for that
            else:
                name = self.case.name(other)
                held = {r for r, s in self.present if s == name and (r == run or kind == "destroy")}
            if held and self._known(run, other, rows):
                self.fail(f"{self.case.name(index)} undone before {self.case.name(other)}")
        if old and undo in ("destroy", "remove"):
            state = old.states.get((self.case.project(index), STACK))
            if state is not None and not state.is_empty:
                self.fail(f"destroy of {self.case.name(index)}, which existed before")

    def _known(self, run: str, index: int, rows: list[Any]) -> bool:
        """Whether a step is of this run's scope: an up run undoes what it has started."""
        name = self.case.name(index)
        return self.kinds[run] == "destroy" or any(
            row[0] == run and row[4] == name and row[2] == "StepStarted" for row in rows
        )

    def parents(self, index: int) -> tuple[int, ...]:
        """What a step waits for."""
        return self.case.steps[index].after

    # -- actions ---------------------------------------------------------------------------

    async def call(self, what: str, context: Context) -> Any:
        """An action or a compensation at work, with its faults."""
        index = int(context.step[1:])
        self.life.check()
        self.called[what, index] += 1
        nth = self.called[what, index]
        effects = {
            fault.effect
            for fault in self.turn.actions
            if (fault.what, fault.step, fault.nth) == (what, index, nth)
        }
        step = self.case.steps[index]
        run = self.effect(("action",) if what == "action" else ("compensation",), index)
        self._die_or_fail(effects, "before")
        if "hang" in effects:
            await asyncio.Event().wait()
        await asyncio.sleep(0)
        self.life.check()
        if step.kind == "action":
            self._take_effect(what, context, run)
        self._die_or_fail(effects, "after")
        if "no_json" in effects:
            return object()
        if what == "compensation":
            return None
        value = Secret(f"{CANARY}-{index}") if step.secret else f"plain-{index}"
        return {"value": value, "deep": {"list": [value]}}

    async def ask(self, context: Context) -> None:
        """What must hold after a step, asked with its faults."""
        index = int(context.step[1:])
        self.life.check()
        self.called["ready", index] += 1
        if not any(row[4] == context.step and row[2] == "ReadyAwaited" for row in self.rows()):
            self.fail(f"{context.step} was asked whether it is ready before its work is journaled")
        for fault in self.turn.actions:
            if (fault.what, fault.step) != ("ready", index):
                continue
            if fault.effect.startswith("crash") and fault.nth == self.called["ready", index]:
                self.life.end()
            if fault.effect == "hang":
                await asyncio.Event().wait()
            if fault.effect in ("fail_before", "fail_after", "no_json"):
                raise RuntimeError("not yet")

    def _die_or_fail(self, effects: set[str], when: str) -> None:
        if f"crash_{when}" in effects:
            self.life.end()
        if f"fail_{when}" in effects:
            raise RuntimeError(f"no, said the service {when} it was done")

    def _take_effect(self, what: str, context: Context, run: str) -> None:
        if context.run != run:
            self.fail(f"{context.step} was called for run {context.run}, not {run}")
        if what == "action":
            self.present.add((run, context.step))
            return
        every = self.kinds[run] == "destroy"
        self.present -= {
            (r, s) for r, s in self.present if s == context.step and (every or r == run)
        }


class WatchedEngine(FakeEngine):
    """A fake engine that has the stage look at each effect first."""

    stage: Stage

    async def up(self, request: UpRequest, operation: Operation) -> OperationResult:
        """Checked, then done."""
        self._check()
        self.stage.effect(("up",), _index(request.ref), operation.id)
        return await super().up(request, operation)

    async def destroy(
        self, ref: StackRef, log_dir: str, operation: Operation, program: UpRequest | None = None
    ) -> OperationResult:
        """Checked, then done."""
        self._check()
        self.stage.effect(("destroy",), _index(ref), operation.id)
        return await super().destroy(ref, log_dir, operation, program)

    async def restore(self, request: RestoreRequest, operation: Operation) -> RestoreResult:
        """Checked, then done."""
        self._check()
        self.stage.effect(("restore",), _index(request.ref), operation.id)
        return await super().restore(request, operation)

    async def remove(self, ref: StackRef, log_dir: str, operation: Operation) -> OperationResult:
        """Checked, then done."""
        self._check()
        self.stage.effect(("remove",), _index(ref), operation.id)
        return await super().remove(ref, log_dir, operation)


def _index(ref: StackRef) -> int:
    return int(ref.project.rpartition("-s")[2])


ON_STAGE: list[Stage] = []
"""The stage of the case that is played: actions are plain functions, as in a saga's file."""


async def act(context: Context) -> Any:
    """Every action step's action."""
    return await ON_STAGE[-1].call("action", context)


async def ready(context: Context) -> None:
    """What must hold after a step."""
    await ON_STAGE[-1].ask(context)


async def undo(context: Context) -> Any:
    """Every compensation that is a function."""
    return await ON_STAGE[-1].call("compensation", context)


def program() -> None:
    """Every stack's program, which the fake engine never runs."""
