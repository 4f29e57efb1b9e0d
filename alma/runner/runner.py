"""Fold, decide, record the intent, act, record the outcome: the loop that drives a run.

Everything that happens is an event, applied to the state and committed to the journal before
anything is done that follows from it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from alma.core import events as ev
from alma.core.decide import (
    Command,
    Compensate,
    Execute,
    Finish,
    Reconcile,
    StartCompensation,
    Suspend,
    decide,
)
from alma.core.operation import Operation
from alma.core.redaction import shortened
from alma.core.run import RunStatus, SagaState, StepStatus
from alma.core.state import uncover
from alma.core.step_state import FORWARD, found_again
from alma.errors import RefusedError
from alma.runner.executor import Executor
from alma.runner.leftovers import name_leftovers
from alma.runner.outcomes import is_its_own
from alma.runner.signals import catch_signals
from alma.steps.base import Compensated, Outcome, Retained, StepHandler
from alma.system import descriptors
from alma.system.files import clean_logs


class Runner:
    """Drives one run to its end, or until it is suspended or stopped."""

    def __init__(self, executor: Executor, *, handle_signals: bool = True) -> None:
        self._executor = executor
        self._recorder = executor.recorder
        self.run: RunStatus = executor.recorder.run
        self._handle_signals = handle_signals
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stop, self._wake = asyncio.Event(), asyncio.Event()
        self._why = "stopped by a second signal"

    async def drive(self) -> RunStatus:
        """Go on until the run is over, suspended, or stopped by a second signal."""
        try:
            with catch_signals(self._interrupted, handle=self._handle_signals):
                # A Ctrl-C that came before is told now, and not in the middle of the first step.
                await asyncio.sleep(0)
                while not self.run.state.is_final and not self.run.suspended:
                    self._begin(decide(self.run, frozenset(self._tasks)))
                    await self._settle_some()
                    if self._stop.is_set():
                        await self._stop_now()
        except RefusedError:
            # Nothing can be recorded any more: nothing new is begun, and what is under way ends.
            self._executor.drain.set()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
            raise
        except BaseException:
            await self._end_tasks()
            raise
        finally:
            self._recorder.commit()
        return self.run

    # -- the loop's parts ------------------------------------------------------------------

    def _begin(self, commands: tuple[Command, ...]) -> None:
        for command in commands:
            match command:
                case Execute() | Compensate() | Reconcile():
                    self._start(command.step, self._turn(command))
                case StartCompensation(reason, failed_step):
                    self._recorder.defer(
                        ev.CompensationStarted(reason=reason, failed_step=failed_step)
                    )
                    self._executor.drain.clear()
                case Suspend(reason):
                    self._recorder.record(ev.RunInterrupted(reason=reason))
                case Finish(state, reason) if "" not in self._tasks:
                    self._start("", self._finish(state, reason))

    def _start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self._tasks[name] = task = asyncio.create_task(work, name=name)
        task.add_done_callback(lambda _: self._wake.set())

    async def _settle_some(self) -> None:
        """Wait until a step's turn has ended or a signal came; a turn's own bug is raised."""
        if not self._tasks:
            return
        await self._wake.wait()
        self._wake.clear()
        for name, task in list(self._tasks.items()):
            if task.done():
                del self._tasks[name]
                task.result()

    def _interrupted(self, signal: str) -> None:
        if self.run.state.is_final or self.run.suspended:
            return  # It was caught as the run ended: there is nothing left to interrupt.
        count = self.run.interrupts + 1
        if count <= 2:  # noqa: PLR2004 - once drains, twice stops; more says nothing new
            with suppress(RefusedError):  # the step under way finds the same, and ends the run
                self._recorder.record(ev.InterruptReceived(signal=signal, count=count))
        if self.run.direction == "forward" or self.run.backward_only:
            self._executor.drain.set()
        if count > 1:
            self._stop.set()
        self._wake.set()

    async def _stop_now(self) -> None:
        """What is under way is left to end by itself, and journaled as such."""
        if self.run.state.is_final:
            return
        await self._end_tasks()
        for step in self.run.steps.values():
            if step.open is not None:
                self._recorder.record(
                    ev.OperationLeftInDoubt(
                        step=step.name, operation=step.open.id, reason=self._why
                    )
                )
        self._recorder.record(ev.RunInterrupted(reason=self._why))

    async def _end_tasks(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()

    async def _turn(self, command: Execute | Compensate | Reconcile) -> None:
        """One step's turn. Whatever its kind raises is a failure of this step, and of no other."""
        status = self.run.steps[command.step]
        adapter = self._executor.adapters[command.step]
        try:
            if isinstance(command, Reconcile):
                await self._reconcile(status, adapter)
            elif command.delay and await self._interrupted_within(command.delay):
                return
            elif isinstance(command, Execute):
                await self._act(command, status, adapter)
            elif self.run.kind == "up" and not status.began:
                nothing = {"began": False}
                self._recorder.defer(
                    ev.StepCompensated(step=status.name, how="nothing", evidence=nothing)
                )
            else:
                await self._undo(command, status, adapter)
        except BaseException as error:  # a kind's own may raise anything
            if isinstance(error, RefusedError) or not is_its_own(error):
                raise
            if descriptors.are_used_up(error):
                # Neither forward nor back can it go on: another process can, from here.
                self._why = "this process has no file descriptor left (see `ulimit -n`)"
                self._stop.set()
            elif isinstance(command, Reconcile):
                self._could_not_reconcile(status, error)
            else:
                await self._could_not_look(command, error)

    async def _reconcile(self, status: StepStatus, adapter: StepHandler) -> None:
        if status.open is None:
            return
        operation = self._executor.doubtful(status.open)
        found = await adapter.reconcile(operation)
        # Whoever was killed has not cleaned what its tools have said.
        clean_logs(self._executor.logs / operation.id, self._recorder.redact)
        evidence = found.evidence
        hidden = self._recorder.hide(found_again(evidence))
        self._recorder.defer(
            ev.OperationReconciled(
                step=status.name,
                operation=operation.id,
                found=self._recorder.redact(found.found),
                evidence=self._recorder.redact.clean(evidence),
                hidden=self._recorder.seal_hidden(hidden),
            )
        )
        uncover(status, hidden)

    async def _act(self, command: Execute, status: StepStatus, adapter: StepHandler) -> None:
        if status.started is None:
            why = await self._executor.leave_alone(status.name) if self.run.changed else ""
            if self.run.changed and not why:
                return
            try:
                started = await adapter.inspect()
                existed = await adapter.existed(self._executor.call(command))
            except RefusedError as error:
                await self._could_not_look(command, error)
                return
            why = self._recorder.redact(why)
            self._recorder.defer(replace(started, existed=existed or UNSET, why=why or UNSET))
        await adapter.execute(self._executor.call(command))

    async def _undo(self, command: Compensate, status: StepStatus, adapter: StepHandler) -> None:
        if self.run.kind == "restore" and status.started is None:
            self._recorder.record(await adapter.inspect())  # so it can be taken back
        undone = await adapter.compensate(self._executor.call(command))
        if isinstance(undone, Compensated):
            self._recorder.defer(
                ev.StepCompensated(
                    step=status.name,
                    how=undone.how,
                    evidence=self._recorder.redact.clean(undone.evidence),
                )
            )
        elif isinstance(undone, Retained):
            leftovers = self._recorder.clean(undone.leftovers)
            self._recorder.defer(
                ev.StepRetained(
                    step=status.name,
                    reason=shortened(self._recorder.redact(undone.reason)),
                    leftovers=leftovers,
                )
            )

    def _could_not_reconcile(self, status: StepStatus, error: BaseException) -> None:
        """What became of its operation cannot be found out: it counts as failed, and in doubt."""
        operation, seen = status.open, Outcome.raised(error).failure
        if operation is None or seen is None:
            return
        words = f"what became of its {operation.kind} could not be found out: {seen.message}"
        failure = ev.Failure(kind="pending", message=words, hint=seen.hint)
        log = self._executor.logs / operation.id
        self._recorder.defer(
            ev.OperationFailed(
                step=status.name,
                operation=operation.id,
                kind=operation.kind,
                failure=self._recorder.clean_failure(failure, log),
                leftovers=() if operation.kind in FORWARD else self._unseen(status.name, words),
            )
        )

    async def _could_not_look(self, command: Execute | Compensate, error: BaseException) -> None:
        """The state cannot be read: nothing was done, and the attempt counts as failed."""
        outcome = Outcome.raised(error)
        if isinstance(command, Execute):
            # What it does is done in `perform`, and that has noted whether anything was begun.
            status = self.run.steps[command.step]
            outcome = replace(outcome, began=status.started is not None and status.began)
        words = outcome.failure.message if outcome.failure else ""
        kind: ev.OperationKind = "up"
        if isinstance(command, Compensate):
            kind = "restore" if self.run.kind == "restore" else "destroy"
            words = f"what is left could not be seen: {words}"
            outcome = replace(outcome, leftovers=self._unseen(command.step, words))

        async def work(_operation: Operation) -> Outcome:
            return outcome

        await self._executor.perform(command, kind, work, ())

    def _unseen(self, step: str, words: str) -> tuple[ev.Leftover, ...]:
        definition = self.run.definition.step(step)
        stack = f"{definition.project}/{self.run.definition.stack}" if definition.project else ""
        return self._recorder.clean((ev.Leftover(step=step, stack=stack, reason=words),))

    async def _interrupted_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._executor.drain.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def _finish(self, state: SagaState, reason: str) -> None:
        if state is SagaState.COMPLETED:
            self._recorder.record(ev.RunCompleted())
        elif state is SagaState.COMPENSATED:
            self._recorder.record(ev.RunCompensated())
        else:
            leftovers = self._recorder.clean(
                await name_leftovers(self.run, self._executor.adapters, reason)
            )
            self._recorder.record(ev.RunFailed(reason=reason, leftovers=leftovers))
