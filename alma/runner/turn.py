"""One step's turn, and a run's end: what is done about a command, whoever has asked for it.

The loop of `alma.runner.runner` asks for all turns of a run in one process. Where a run is driven
by many, each turn is asked for in one of them.
"""

from __future__ import annotations

import asyncio

from msgspec import UNSET
from msgspec.structs import replace

from alma.core import events as ev
from alma.core.decide import Compensate, Execute, Finish, Reconcile
from alma.core.operation import Operation
from alma.core.redaction import shortened
from alma.core.run import RunStatus, SagaState, StepStatus
from alma.core.state import uncover
from alma.core.step_state import FORWARD, found_again
from alma.errors import RefusedError
from alma.runner.executor import Executor
from alma.runner.leftovers import name_leftovers
from alma.runner.outcomes import is_its_own
from alma.steps.base import Compensated, Outcome, Retained, StepHandler
from alma.system import descriptors
from alma.system.files import clean_logs

Turn = Execute | Compensate | Reconcile
"""The commands that are about one step."""


class UsedUpError(Exception):
    """This process can neither go forward nor back: another one can, from here."""


class Turns:
    """Takes the turns of one run's steps."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._recorder = executor.recorder

    @property
    def _run(self) -> RunStatus:
        return self._recorder.run

    async def take(self, command: Turn) -> None:
        """One step's turn. Whatever its kind raises is a failure of this step, and of no other.

        Raises RefusedError where nothing can be recorded any more, UsedUpError.
        """
        status = self._run.steps[command.step]
        adapter = self._executor.adapters[command.step]
        try:
            if isinstance(command, Reconcile):
                await self._reconcile(status, adapter)
            elif command.delay and await self._interrupted_within(command.delay):
                return
            elif isinstance(command, Execute):
                await self._act(command, status, adapter)
            elif self._run.kind == "up" and not status.began:
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
                words = "this process has no file descriptor left (see `ulimit -n`)"
                raise UsedUpError(words) from error
            if isinstance(command, Reconcile):
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
            why = self._run.drifted(status.name)
            if self._run.changed and not why:
                why = await self._executor.leave_alone(status.name)
            if self._run.changed and not why:
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
        if self._run.kind == "restore" and status.started is None:
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
            status = self._run.steps[command.step]
            outcome = replace(outcome, began=status.started is not None and status.began)
        words = outcome.failure.message if outcome.failure else ""
        kind: ev.OperationKind = "up"
        if isinstance(command, Compensate):
            kind = "restore" if self._run.kind == "restore" else "destroy"
            words = f"what is left could not be seen: {words}"
            outcome = replace(outcome, leftovers=self._unseen(command.step, words))

        async def work(_operation: Operation) -> Outcome:
            return outcome

        await self._executor.perform(command, kind, work, ())

    def _unseen(self, step: str, words: str) -> tuple[ev.Leftover, ...]:
        definition = self._run.definition.step(step)
        stack = f"{definition.project}/{self._run.definition.stack}" if definition.project else ""
        return self._recorder.clean((ev.Leftover(step=step, stack=stack, reason=words),))

    async def _interrupted_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._executor.drain.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def finish(self, command: Finish) -> None:
        """Record the end, with all that is left."""
        if command.state is SagaState.COMPLETED:
            self._recorder.record(ev.RunCompleted())
        elif command.state is SagaState.COMPENSATED:
            self._recorder.record(ev.RunCompensated())
        else:
            leftovers = self._recorder.clean(
                await name_leftovers(self._run, self._executor.adapters, command.reason)
            )
            self._recorder.record(ev.RunFailed(reason=command.reason, leftovers=leftovers))
