"""A run as one worker has it open: under the workflow's lease, for all turns that it takes of it.

Of each step a lock is held as long as something is done about it, by the session of whoever does
it. So a worker that only seems to be lost (cut off from Temporal, stopped) is waited for, and an
operation is never made by two. Once the lock can be had, an operation without an outcome is in
doubt: it is settled where it was, before it is repeated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

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
    is_due,
)
from alma.core.run import RunStatus
from alma.core.state import uncover
from alma.errors import AlmaError, JournalError, RefusedError, StaleEpochError
from alma.journal import Journal
from alma.journal.known import Known
from alma.journal.store import Lock
from alma.runner.binding import check
from alma.runner.executor import Executor
from alma.runner.required import require_known
from alma.runner.temporal.orders import INTERRUPTED, SUPERSEDED, Lead, Todo
from alma.runner.temporal.queues import routed
from alma.runner.temporal.shared_recorder import SharedRecorder
from alma.runner.turn import Turn, Turns

LOOK: Final = 1.0
"""Seconds between two looks at the journal, for what others have written: an interrupt above all.
It comes by the journal, so that it also reaches a worker that Temporal does not."""
_LOCKED: Final = 0.2
_BOOKS: Final = ".books"
"""What only one may do at a time beside the steps; no step's name begins with a dot."""


class OtherCodeError(AlmaError):
    """This worker has another code of a step than the run, or not what the step needs."""


class UnwantedError(Exception):
    """Before anything was begun, nobody asked for it any more: or not of this worker."""


class Here:
    """See the module; made by `alma.runner.temporal.opening`."""

    def __init__(
        self, lead: Lead, journal: Journal, executor: Executor, known: Known, same: frozenset[str]
    ) -> None:
        self._lead, self._journal = lead, journal
        self._executor, self._known, self._same = executor, known, same
        self._turns = Turns(executor)
        self._fit: set[str] = set()

    @property
    def run(self) -> RunStatus:
        """Its state, as far as it was read."""
        return self._recorder.run

    @property
    def broken(self) -> bool:
        """Whether nothing can be written here any more."""
        return self._recorder.broken is not None

    @property
    def _recorder(self) -> SharedRecorder:
        recorder = self._executor.recorder
        assert isinstance(recorder, SharedRecorder)  # noqa: S101 - `open_here` has made it
        return recorder

    # -- what is to be done --------------------------------------------------------------------

    async def next(self, busy: frozenset[str]) -> tuple[tuple[Todo, ...], str]:
        """The next turns, and how it is over, if it is."""
        lock = await self._lock(_BOOKS)
        try:
            while True:
                self._recorder.catch_up()
                if over := self._over():
                    return (), over
                commands = decide(self.run, busy)
                if not self._note(commands):
                    return tuple(routed(self._lead, self.run, commands, self._journal)), ""
        except StaleEpochError:
            return (), SUPERSEDED
        finally:
            lock.release()

    def _over(self) -> str:
        if self.run.state.is_final:
            return self.run.state.value
        return INTERRUPTED if self.run.suspended else ""

    def _note(self, commands: tuple[Command, ...]) -> bool:
        """Record what is no work; whether there was any."""
        for command in commands:
            if isinstance(command, StartCompensation):
                self._recorder.record(
                    ev.CompensationStarted(reason=command.reason, failed_step=command.failed_step)
                )
                return True
            if isinstance(command, Suspend):
                self._recorder.record(ev.RunInterrupted(reason=command.reason))
                return True
        return False

    async def interrupt(self, who: str) -> None:
        """As a first signal to a local runner; the second time does nothing."""
        lock = await self._lock(_BOOKS)
        try:
            self._recorder.catch_up()
            run = self.run
            if not (run.interrupts or run.state.is_final or run.suspended):
                self._recorder.record(ev.InterruptReceived(signal=who, count=1))
        finally:
            lock.release()

    async def suspend(self, reason: str) -> None:
        """Stop here, resumable."""
        lock = await self._lock(_BOOKS)
        try:
            self._recorder.catch_up()
            if not (self.run.state.is_final or self.run.suspended):
                self._recorder.record(ev.RunInterrupted(reason=reason))
        finally:
            lock.release()

    async def nobody_came(self, step: str) -> None:
        """To settle an operation where it was: stop here."""
        self._recorder.catch_up()
        operation = self.run.steps[step].open
        where = operation.host.partition("#")[0] if operation is not None else "its own host"
        await self.suspend(
            f'what became of an operation of step "{step}" can only be seen on {where}, where no '
            "worker has come"
        )

    # -- a turn --------------------------------------------------------------------------------

    async def turn(self, todo: Todo, wanted: Callable[[], bool]) -> str:
        """Take it, if it is still due; how it went, in a word. Raises UnwantedError."""
        lock = await self._lock(todo.step)
        try:
            if not wanted():
                raise UnwantedError
            self._recorder.catch_up()
            if todo.what == "finish":
                return await self._finish()
            step = self.run.steps[todo.step]
            if step.open is not None and not step.in_doubt:
                # Whoever did it has let go of the step, and left no outcome.
                self._recorder.record(
                    ev.OperationLeftInDoubt(
                        step=step.name, operation=step.open.id, reason="its worker was lost"
                    )
                )
                return "in doubt"
            command = _command(todo)
            if not is_due(self.run, command):
                return "moot"
            await self._require_fit(command)
            await self._take(command)
            if isinstance(command, Reconcile) and (again := self._next_of(todo.step)) is not None:
                # Here, where what was settled is best known.
                await self._require_fit(again)
                await self._take(again)
            return "waits" if step.waits else step.state.value
        except asyncio.CancelledError:
            self._left(todo.step)
            raise
        except RefusedError:
            if self.broken:
                self._executor.drain.set()  # as the loop of a local runner: what is left ends
            raise
        finally:
            lock.release()

    def _next_of(self, step: str) -> Execute | Compensate | None:
        found = (one for one in decide(self.run) if isinstance(one, Execute | Compensate))
        return next((one for one in found if one.step == step), None)

    async def _take(self, command: Turn) -> None:
        try:
            await self._turns.take(command)
        except RefusedError as error:
            if self.broken or isinstance(error, JournalError | StaleEpochError):
                raise
            # It must not be gone on with from here: somebody has to see to it.
            await self.suspend(self._recorder.redact(error.message))

    async def _finish(self) -> str:
        found = next((one for one in decide(self.run) if isinstance(one, Finish)), None)
        if found is None:
            return "moot"
        await self._turns.finish(found)
        return self.run.state.value

    def _left(self, step: str) -> None:
        """This worker ends in the middle of a step's turn, which is its own: its CLI goes on."""
        with suppress(RefusedError):
            self._recorder.catch_up()
            found = self.run.steps.get(step)
            if found is not None and found.open is not None and not found.in_doubt:
                why = "its worker was stopped by a second signal"
                self._recorder.record(
                    ev.OperationLeftInDoubt(step=step, operation=found.open.id, reason=why)
                )

    async def _require_fit(self, command: Turn) -> None:
        """Raise OtherCodeError where this worker cannot do what another one can."""
        name = command.step
        adapter = self._executor.adapters[name]
        if name not in self._same and (isinstance(command, Execute) or adapter.lacks):
            raise OtherCodeError(
                f'Step "{name}" of run {self.run.run} is of another code than this worker has.',
                hint="Give it the code that the run was started with, or take the run back: an "
                "undo by state needs no code.",
            )
        if name in self._fit:
            return
        gates = [self._executor.gates[name]] if name in self._executor.gates else []
        try:
            await check({}, [adapter], gates if isinstance(command, Execute) else ())
            require_known(self.run.definition, self._executor.adapters, [name], self._known)
        except RefusedError:
            raise
        except AlmaError as error:
            raise OtherCodeError(error.message, hint=error.hint) from error
        self._fit.add(name)

    async def _lock(self, part: str) -> Lock:
        """Hold what is done about a part of the run; whoever holds it is waited for."""
        while True:
            lock = self._journal.lock_part(self._lead.target, part)
            if lock is not None:
                return lock
            await asyncio.sleep(_LOCKED)

    # -- what others write -------------------------------------------------------------------------

    async def watch(self) -> None:
        """Look now and then, until it is cancelled."""
        while True:
            await asyncio.sleep(LOOK)
            with suppress(JournalError):
                try:
                    self._recorder.catch_up()
                except StaleEpochError:
                    self._executor.drain.set()
                    return

    def noticed(self, entry: ev.Recorded, foreign: bool) -> None:  # noqa: FBT001
        """What an event means for what is under way here."""
        run, event = self.run, entry.event
        if isinstance(event, ev.InterruptReceived):
            if run.direction == "forward" or run.backward_only:
                self._executor.drain.set()
        elif isinstance(event, ev.CompensationStarted):
            self._executor.drain.clear()
        if not foreign or not event.step:
            return
        step = run.steps[event.step]
        for token in step.hidden:
            uncover(step, self._journal.keys.unseal(token))
        if step.outputs or step.sealed:
            self._known.add(self._journal, step)
            self._executor.outputs[step.name] = self._known.outputs[step.name]
            self._recorder.redact.learn(self._executor.outputs[step.name])


def _command(todo: Todo) -> Turn:
    if todo.what == "reconcile":
        return Reconcile(todo.step)
    kind = Execute if todo.what == "execute" else Compensate
    return kind(todo.step, todo.attempt, todo.delay)
