"""Fold, decide, record the intent, act, record the outcome: the loop that drives a run.

Everything that happens is an event appended to the journal first and applied to the state in
the same breath; so what is decided next is always decided from what is durable.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from alma import events as ev
from alma.context import Context
from alma.engine.protocol import Watch
from alma.errors import AlmaError, JournalError
from alma.inputs import MissingOutputError, resolve
from alma.journal import Journal
from alma.lease import Lease
from alma.outputs import for_journal
from alma.redact import Redactor
from alma.signals import catch_signals
from alma.state import (
    Act,
    Command,
    Finish,
    Reconcile,
    Suspend,
    TurnBack,
    Undo,
    apply,
    decide,
)
from alma.status import RunStatus, SagaState, StepStatus
from alma.steps.base import Call, Outcome, Retained, StepAdapter, Undone, Work

PAST_THE_DEADLINE = 30.0
"""Seconds that an operation gets to drain after its deadline, before it is killed."""


class Reporter(Protocol):
    """Whoever shows a run while it goes on. Called on the event loop; must not block."""

    def recorded(self, run: RunStatus, entry: ev.Recorded) -> None:
        """An event was committed; `run` is the state after it."""
        ...

    def resource(self, step: str, urn: str, op: str, done: bool) -> None:  # noqa: FBT001
        """A resource's operation began or ended."""
        ...


class Runner:
    """Drives one run. `adapters` by step name; `grace` in seconds; `logs` is a directory."""

    def __init__(
        self,
        *,
        run: RunStatus,
        journal: Journal,
        lease: Lease,
        adapters: Mapping[str, StepAdapter],
        logs: Path,
        reporter: Reporter | None = None,
        redactor: Redactor | None = None,
        grace: float = PAST_THE_DEADLINE,
    ) -> None:
        self.run = run
        self.live: dict[str, Mapping[str, Any]] = {}
        """Outputs of the steps that completed in this process, with their secrets."""
        self.causes: dict[str, BaseException] = {}
        """What callables raised in this process, by step."""
        self._journal, self._lease, self._adapters = journal, lease, adapters
        self._logs, self._reporter, self._grace = logs, reporter, grace
        self._redact = redactor or Redactor()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._drain, self._stop, self._wake = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._reveals: dict[str, asyncio.Lock] = {}

    async def drive(self) -> RunStatus:
        """Go on until the run is over, suspended, or stopped by a second signal."""
        try:
            with catch_signals(self._interrupted):
                while not self.run.state.is_final and not self.run.suspended:
                    self._begin(decide(self.run, frozenset(self._tasks)))
                    await self._settle_some()
                    if self._stop.is_set():
                        await self._stop_now()
        except BaseException:
            await self._end_tasks()
            raise
        return self.run

    # -- the loop's parts ------------------------------------------------------------------

    def _begin(self, commands: tuple[Command, ...]) -> None:
        for command in commands:
            match command:
                case Act() | Undo() | Reconcile():
                    turn = self._turn(command)
                    self._tasks[command.step] = asyncio.create_task(turn, name=command.step)
                case TurnBack(reason, failed_step):
                    self.record(ev.CompensationStarted(reason=reason, failed_step=failed_step))
                    self._drain.clear()
                case Suspend(reason):
                    self.record(ev.RunInterrupted(reason=reason))
                case Finish(state, reason):
                    self._tasks[""] = asyncio.create_task(self._finish(state, reason))

    async def _settle_some(self) -> None:
        """Wait until a step's turn has ended or a signal came; a turn's own bug is raised."""
        if not self._tasks:
            return
        wake = asyncio.create_task(self._wake.wait())
        done, _ = await asyncio.wait(
            {*self._tasks.values(), wake}, return_when=asyncio.FIRST_COMPLETED
        )
        wake.cancel()
        self._wake.clear()
        for name, task in list(self._tasks.items()):
            if task in done:
                del self._tasks[name]
                task.result()

    def _interrupted(self, signal: str) -> None:
        count = self.run.interrupts + 1
        if count <= 2:  # noqa: PLR2004 - once drains, twice stops; more says nothing new
            self.record(ev.InterruptReceived(signal=signal, count=count))
        if self.run.direction == "forward" or self.run.kind == "destroy":
            self._drain.set()
        if count > 1:
            self._stop.set()
        self._wake.set()

    async def _stop_now(self) -> None:
        """Second signal: what is under way is left to end by itself, and journaled as such."""
        if self.run.state.is_final:
            return
        await self._end_tasks()
        for step in self.run.steps.values():
            if step.open is not None:
                self.record(
                    ev.OperationLeftInDoubt(
                        step=step.name, operation=step.open.id, reason="stopped by a second signal"
                    )
                )
        self.record(ev.RunInterrupted(reason="stopped by a second signal"))

    async def _end_tasks(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()

    async def _turn(self, command: Act | Undo | Reconcile) -> None:
        status = self.run.steps[command.step]
        adapter = self._adapters[command.step]
        if isinstance(command, Reconcile):
            if status.open is None:
                return
            operation = status.open
            found = await adapter.settle(operation)
            self.record(
                ev.OperationReconciled(
                    step=status.name,
                    operation=operation.id,
                    found=found.found,
                    evidence=found.evidence,
                )
            )
            return
        if command.delay and await self._interrupted_within(command.delay):
            return
        if isinstance(command, Act):
            await self._act(command, status, adapter)
            return
        try:
            undone = await adapter.undo(self._call(command, adapter))
        except JournalError:
            raise
        except AlmaError as error:
            await self._could_not_look(command, "destroy", error)
            return
        if isinstance(undone, Undone):
            self.record(
                ev.StepCompensated(step=status.name, how=undone.how, evidence=undone.evidence)
            )
        elif isinstance(undone, Retained):
            leftovers = self._clean(undone.leftovers)
            self.record(
                ev.StepRetained(step=status.name, reason=undone.reason, leftovers=leftovers)
            )

    async def _act(self, command: Act, status: StepStatus, adapter: StepAdapter) -> None:
        if status.started is None:
            try:
                started = await adapter.probe()
            except AlmaError as error:
                await self._could_not_look(command, "up", error)
                return
            self.record(started)
        await adapter.act(self._call(command, adapter))

    async def _could_not_look(
        self, command: Act | Undo, kind: ev.OperationKind, error: AlmaError
    ) -> None:
        """The state cannot be read: nothing was done, and the attempt counts as failed."""
        failure = ev.Failure(kind="backend", message=error.message, hint=error.hint)
        definition = self.run.plan.step(command.step)
        left = ev.Leftover(
            step=command.step,
            stack=f"{definition.project}/{self.run.plan.stack}" if definition.project else "",
            reason=f"what is left could not be seen: {error.message}",
        )

        async def work(_watch: Watch) -> Outcome:
            return Outcome(failure=failure, leftovers=() if isinstance(command, Act) else (left,))

        await self._perform(command, kind, work, ())

    async def _interrupted_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._drain.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def _finish(self, state: SagaState, reason: str) -> None:
        if state is SagaState.COMPLETED:
            self.record(ev.RunCompleted())
        elif state is SagaState.COMPENSATED:
            self.record(ev.RunCompensated())
        else:
            leftovers = self._clean(await self._survey(reason))
            self.record(ev.RunFailed(reason=reason, leftovers=leftovers))

    async def _survey(self, reason: str) -> tuple[ev.Leftover, ...]:
        """What is left of every step that started and is not undone, looked at once more."""
        left: list[ev.Leftover] = []
        scope = self.run.steps.values() if self.run.kind == "destroy" else self.run.started()
        done = SagaState.COMPLETED if self.run.kind == "destroy" else SagaState.COMPENSATED
        for step in scope:
            if step.state is done:
                continue
            if step.retained or step.leftovers:
                left.extend(step.leftovers)
                continue
            why = "not undone: another step that was not undone may still use it"
            if self.run.direction == "forward" and self.run.kind == "up":
                why = reason
            try:
                left.extend(await self._adapters[step.name].survey(step, why))
            except AlmaError as error:
                reason = f"{why}; its state could not be read: {error.message}"
                left.append(ev.Leftover(step=step.name, reason=reason))
        return tuple(left)

    # -- one operation ---------------------------------------------------------------------

    def _call(self, command: Act | Undo, adapter: StepAdapter) -> Call:
        status = self.run.steps[command.step]
        in_doubt = status.in_doubt

        async def perform(
            kind: ev.OperationKind, work: Work, *, keeps: tuple[ev.Leftover, ...] = ()
        ) -> Outcome:
            return await self._perform(command, kind, work, keeps)

        async def inputs() -> Mapping[str, Any]:
            values = await resolve(adapter.sources, self.run, self.live, self._reveal)
            self._redact.learn(values)
            return values

        def context(what: str, values: Mapping[str, Any]) -> Context:
            done = {
                step.name: step.outputs
                for step in self.run.steps.values()
                if step.state is SagaState.COMPLETED
            }
            return Context(
                run=self.run.run,
                saga=self.run.plan.saga,
                stack=self.run.plan.stack,
                step=status.name,
                key=f"{self.run.run}-{status.name}-{what}",
                attempt=command.attempt,
                in_doubt=in_doubt,
                inputs=values,
                outputs=done,
                result=self.live.get(status.name, status.outputs),
            )

        return Call(
            kind=self.run.kind,
            status=status,
            perform=perform,
            inputs=inputs,
            context=context,
            log_dir=str(self._logs),
            remove_record=self.run.remove_records,
        )

    async def _perform(
        self,
        command: Act | Undo,
        kind: ev.OperationKind,
        work: Work,
        keeps: tuple[ev.Leftover, ...],
    ) -> Outcome:
        step = command.step
        operation = f"{self.run.run}-{self.run.seq + 1}"
        log = str(self._logs / operation)
        self.record(
            ev.OperationIntended(
                step=step,
                operation=operation,
                kind=kind,
                attempt=command.attempt,
                log=log,
                keeps=keeps,
            )
        )
        began = time.monotonic()
        try:
            outcome = await work(self._watch(command, operation))
        except MissingOutputError as error:
            outcome = Outcome(failure=ev.Failure(kind="program", message=str(error)))
        except AlmaError as error:
            if isinstance(error, JournalError):
                raise
            outcome = Outcome(failure=ev.Failure(kind="backend", message=error.message, hint=error.hint))
        seconds = round(time.monotonic() - began, 3)
        self._redact.learn(outcome.outputs)
        if outcome.trace:
            self._write_trace(Path(log), outcome.trace)
        if outcome.cause is not None:
            self.causes.setdefault(step, outcome.cause)
        if outcome.failure is None:
            if kind in ("up", "action"):
                self.live[step] = outcome.outputs
            self.record(
                ev.OperationSucceeded(
                    step=step,
                    operation=operation,
                    kind=kind,
                    seconds=seconds,
                    changes=outcome.changes,
                    resources=outcome.resources,
                    outputs=self._redact.clean(for_journal(outcome.outputs)),
                    evidence=outcome.evidence,
                )
            )
        else:
            self.record(
                ev.OperationFailed(
                    step=step,
                    operation=operation,
                    kind=kind,
                    failure=self._clean_failure(outcome.failure, log),
                    seconds=seconds,
                    changes=outcome.changes,
                    resources=outcome.resources,
                    leftovers=self._clean(outcome.leftovers),
                )
            )
        return outcome

    def _watch(self, command: Act | Undo, operation: str) -> Watch:
        step, definition = command.step, self.run.plan.step(command.step)
        acting = isinstance(command, Act)
        # An undo is what a first signal asks for: it is not disturbed by it.
        drains = acting or self.run.kind == "destroy"
        return Watch(
            operation=operation,
            interrupt=self._drain if drains else asyncio.Event(),
            timeout=definition.timeout if acting else definition.compensation_timeout,
            grace=self._grace,
            on_process=lambda role, process: self.record(
                ev.ProcessSpawned(step=step, operation=operation, role=role, process=process)
            ),
            on_signal=lambda signal, why: self.record(
                ev.SignalSent(step=step, operation=operation, signal=signal, why=why)
            ),
            on_resource=lambda urn, op, done: self._report(
                lambda reporter: reporter.resource(step, urn, op, done)
            ),
        )

    async def _reveal(self, step: str) -> Mapping[str, Any]:
        """Once for each step, however many consume it."""
        async with self._reveals.setdefault(step, asyncio.Lock()):
            adapter = self._adapters[step]
            call = self._call(Act(step, max(self.run.steps[step].attempts, 1)), adapter)
            return await adapter.reveal(call)

    # -- recording -------------------------------------------------------------------------

    def record(self, event: ev.Event) -> None:
        entry = self._journal.append(self.run.run, event, self._lease)
        apply(self.run, entry)
        self._report(lambda reporter: reporter.recorded(self.run, entry))

    def _report(self, tell: Callable[[Reporter], None]) -> None:
        """Show it; a display that breaks (its terminal is gone) must not touch the run."""
        if self._reporter is None:
            return
        try:
            tell(self._reporter)
        except OSError:
            self._reporter = None

    def _clean(self, leftovers: tuple[ev.Leftover, ...]) -> tuple[ev.Leftover, ...]:
        return tuple(
            ev.Leftover(
                step=left.step,
                stack=left.stack,
                urn=left.urn,
                id=self._redact(left.id),
                reason=self._redact(left.reason),
            )
            for left in leftovers
        )

    def _clean_failure(self, failure: ev.Failure, log: str) -> ev.Failure:
        return ev.Failure(
            kind=failure.kind,
            message=self._redact(failure.message),
            urn=failure.urn,
            hint=self._redact(failure.hint),
            log=failure.log or (log if Path(log).exists() else ""),
        )

    def _write_trace(self, directory: Path, text: str) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = directory / "traceback.txt"
        path.touch(mode=0o600)
        path.write_text(self._redact(text), encoding="utf-8")
