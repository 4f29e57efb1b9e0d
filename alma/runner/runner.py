"""Fold, decide, record the intent, act, record the outcome: the loop that drives a run.

Everything that happens is an event, applied to the state and committed to the journal before
anything is done that follows from it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

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
from alma.core.run import RunStatus
from alma.errors import RefusedError
from alma.runner.executor import Executor
from alma.runner.signals import catch_signals
from alma.runner.turn import Turn, Turns, UsedUpError


class Runner:
    """Drives one run to its end, or until it is suspended or stopped."""

    def __init__(self, executor: Executor, *, handle_signals: bool = True) -> None:
        self._executor = executor
        self._recorder = executor.recorder
        self._turns = Turns(executor)
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
                    commands = decide(self.run, frozenset(self._tasks))
                    if not commands and not self._tasks:  # it would go round for ever
                        raise AssertionError(f"Nothing is left to do, and {self.run.run} goes on.")
                    self._begin(commands)
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
                case Finish() if "" not in self._tasks:
                    self._start("", self._turns.finish(command))

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

    async def _turn(self, command: Turn) -> None:
        try:
            await self._turns.take(command)
        except UsedUpError as error:
            self._why = str(error)
            self._stop.set()
