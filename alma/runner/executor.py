"""One operation: intent, work, outcome; and what a handler is given to do it with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import UNSET, Struct, UnsetType, field
from msgspec.structs import replace

from alma.core import events as ev
from alma.core.decide import Compensate, Execute
from alma.core.event_parts import Gone
from alma.core.operation import Context, Operation
from alma.core.run import OpenOperation
from alma.core.state import uncover
from alma.core.step_state import FORWARD
from alma.core.validation import check_json, for_journal
from alma.errors import RefusedError
from alma.runner.asking import Foresight
from alma.runner.changed import Earlier, digests_of, unlike
from alma.runner.inputs import MissingOutputError, resolve, shown
from alma.runner.logs import log_of
from alma.runner.outcomes import outcome_of, unkept
from alma.runner.ready import Gate
from alma.runner.recorder import UNTIL_ITS_CLI, Recorder
from alma.steps.base import IncomparableError, Outcome, StepContext, StepHandler, Work
from alma.steps.nested import WaitsError


class Executor(Struct, kw_only=True):
    """Makes the operations of one run. `drain` is set by a first signal; `grace` in seconds.

    `outputs` are those of the steps that have completed, as they are, with their secrets;
    `exceptions` what callables raised in this process, by step.
    """

    recorder: Recorder
    adapters: Mapping[str, StepHandler]
    logs: Path
    grace: float
    drain: asyncio.Event = field(default_factory=asyncio.Event)
    outputs: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    exceptions: dict[str, BaseException] = field(default_factory=dict)
    gates: Mapping[str, Gate] = field(default_factory=dict)
    """What is asked of each step that has a `ready`."""
    earlier: Mapping[str, Earlier] = field(default_factory=dict)
    """Of a run with `changed`: each step as its last run has left it."""
    _given: dict[str, Mapping[str, str]] = field(default_factory=dict)
    _reveals: dict[str, asyncio.Lock] = field(default_factory=dict)
    _revealed: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def call(self, command: Execute | Compensate) -> StepContext:
        """What the step's adapter needs for this turn."""
        run, adapter = self.recorder.run, self.adapters[command.step]
        status = run.steps[command.step]
        in_doubt = status.in_doubt

        async def perform(
            kind: ev.OperationKind, work: Work, *, keeps: tuple[ev.Leftover, ...] = ()
        ) -> Outcome:
            return await self.perform(command, kind, work, keeps)

        async def inputs() -> Mapping[str, Any]:
            values = await resolve(adapter.inputs, run, self.outputs, self._reveal)
            self.recorder.redact.learn(values)
            return values

        def context(what: str, values: Mapping[str, Any]) -> Context:
            return Context(
                run=run.run,
                saga=run.definition.saga,
                stack=run.definition.stack,
                step=status.name,
                key=f"{run.run}-{status.name}-{what}",
                attempt=command.attempt,
                in_doubt=in_doubt,
                inputs=values,
                outputs=shown(run, self.outputs),
                result=self.outputs.get(status.name, {}),
            )

        return StepContext(
            kind=run.kind,
            status=status,
            perform=perform,
            inputs=inputs,
            context=context,
            log_dir=str(self.logs),
            run=run.run,
            asking=Foresight(
                step=command.step,
                recorder=self.recorder,
                adapters=self.adapters,
                outputs=self.outputs,
                reveal=self._reveal,
            ),
            remove_record=run.remove_records,
            repair=bool(run.drifted(status.name)),
            snapshot=run.snapshot or (status.started.snapshot if status.started else ""),
        )

    def doubtful(self, operation: OpenOperation) -> OpenOperation:
        """An operation of which the journal has no outcome, with the place of its log."""
        since = operation.at.timestamp() if operation.at else 0.0
        hosts = self.recorder.run.gone | ({operation.host} if operation.ephemeral else set())
        gone = Gone(hosts=hosts, since=since)
        return replace(operation, log=str(log_of(self.logs, operation.id)), gone=gone)

    async def perform(
        self,
        command: Execute | Compensate,
        kind: ev.OperationKind,
        work: Work,
        keeps: tuple[ev.Leftover, ...] = (),
    ) -> Outcome:
        """Commit the intent, do the work, commit the outcome.

        An operation's id is its run's and the seq of its intent: unique, and found in the logs.
        """
        keeps, run = self.recorder.clean(keeps), self.recorder.run.run

        def intended(seq: int) -> ev.OperationIntended:
            return ev.OperationIntended(
                step=command.step,
                operation=f"{run}-{seq}",
                kind=kind,
                attempt=command.attempt,
                log=str(log_of(self.logs, f"{run}-{seq}")),
                keeps=keeps,
            )

        operation = self.recorder.record_next(intended).operation
        log = log_of(self.logs, operation)
        began = time.monotonic()
        outcome = await self._lacking(command.step) if kind in FORWARD else None
        common: dict[str, Any] = {"step": command.step, "operation": operation, "kind": kind}
        if outcome is None:
            asked = self._operation(command, operation)
            try:
                outcome = await self._work(command, work, asked, common, log)
            except WaitsError as waits:
                return self._waiting(common, waits)
        common["seconds"] = round(time.monotonic() - began, 3)
        try:
            self._keep(outcome, common, log)
        except RefusedError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is that a step has given
            outcome = unkept(outcome, error)
            self._keep(outcome, common, log)
        return outcome

    def _waiting(self, common: Mapping[str, Any], waits: WaitsError) -> Outcome:
        words = self.recorder.redact(str(waits))
        left = ev.OperationLeftInDoubt(
            step=common["step"], operation=common["operation"], reason=words, waits=True
        )
        self.recorder.record(left)
        return Outcome(failure=ev.Failure(kind="cancelled", message=words))

    async def _work(
        self,
        command: Execute | Compensate,
        work: Work,
        operation: Operation,
        common: Mapping[str, Any],
        log: Path,
    ) -> Outcome:
        """Its work; of a step with `ready`, whether that holds. What is done is not repeated."""
        step, kind = command.step, common["kind"]
        gate, known = self.gates.get(step), self.recorder.run.steps[step].awaiting
        if kind not in FORWARD or (gate is None and known is None):
            return await outcome_of(work, operation, kind)
        if known is not None:
            outcome = Outcome(
                changes=known.changes,
                resources=known.resources,
                outputs=self.outputs.get(step, {}),
                evidence=known.evidence,
            )
        else:
            outcome = await outcome_of(work, operation, kind)
            if outcome.failure is not None:
                return outcome
            try:
                self._keep(outcome, common, log, awaits=True)
            except RefusedError:
                raise
            except Exception as error:  # noqa: BLE001 - as of what is kept at its end
                return unkept(outcome, error)
        return outcome if gate is None else await self._asked(gate, command, operation, outcome)

    async def _asked(
        self, gate: Gate, command: Execute | Compensate, operation: Operation, outcome: Outcome
    ) -> Outcome:
        async def ask(operation: Operation) -> Outcome:
            handler = self.adapters[command.step]
            times, failure = await gate.ask(handler, self.call(command), operation)
            evidence = {**outcome.evidence, "ready": times}
            if failure is None:
                return replace(outcome, evidence=evidence)
            return Outcome(failure=failure, changes=outcome.changes, evidence=evidence)

        return await outcome_of(ask, operation, "action")

    def _keep(
        self, outcome: Outcome, common: Mapping[str, Any], log: Path, *, awaits: bool = False
    ) -> None:
        """Record it; and keep what the journal must not hold: secrets, tracebacks, exceptions."""
        check_json(outcome.outputs, "its outputs")
        step = common["step"]
        self.recorder.redact.learn(outcome.outputs)
        if outcome.trace:
            self.recorder.write_trace(log, outcome.trace)
        hidden = self.recorder.hide(outcome.resources)
        common = {**common, "hidden": self.recorder.seal_hidden(hidden)}
        event = self._event(outcome, common, log, ev.ReadyAwaited if awaits else None)
        if awaits:
            self.recorder.record(event)  # before it is asked: what is done is not done again
        else:
            self.recorder.defer(event)
        uncover(self.recorder.run.steps[step], hidden)
        if outcome.cause is not None:
            self.exceptions.setdefault(step, outcome.cause)
        if outcome.failure is None and common["kind"] in FORWARD:
            self.outputs[step] = outcome.outputs

    def _event(
        self,
        outcome: Outcome,
        common: Mapping[str, Any],
        log: Path,
        done: type[ev.ReadyAwaited] | None = None,
    ) -> ev.Event:
        changed = self.recorder.clean_resources(outcome.resources)
        common = {**common, "changes": outcome.changes, "resources": changed}
        evidence = self.recorder.redact.clean(outcome.evidence)
        if "fingerprint" in outcome.evidence:
            # A digest, to be compared with: whatever text it happens to hold tells nothing.
            evidence["fingerprint"] = outcome.evidence["fingerprint"]
        if outcome.failure is None:
            outputs = self.recorder.redact.clean(for_journal(outcome.outputs))
            sealed = self.recorder.seal(outcome.outputs, outputs)
            event: ev.Event = (done or ev.OperationSucceeded)(
                **common,
                outputs=outputs,
                sealed=sealed or UNSET,
                evidence=evidence,
                given=self._seal_given(common),
            )
        else:
            failure = self.recorder.clean_failure(outcome.failure, log)
            leftovers = self.recorder.clean(outcome.leftovers)
            event = ev.OperationFailed(
                **common,
                failure=failure,
                leftovers=leftovers,
                evidence=evidence,
                began=UNSET if outcome.began else False,
            )
        return event

    def _seal_given(self, common: Mapping[str, Any]) -> str | UnsetType:
        given = self._given.get(common["step"]) if common["kind"] in FORWARD else None
        return self.recorder.seal_given(given) if given else UNSET

    def _operation(self, command: Execute | Compensate, operation: str) -> Operation:
        run, step = self.recorder.run, command.step
        definition = run.definition.step(step)
        acting = isinstance(command, Execute)
        # An undo is what a first signal asks for: it is not disturbed by it.
        drains = acting or run.backward_only
        return Operation(
            id=operation,
            redact=self.recorder.redact,
            interrupt=self.drain if drains else asyncio.Event(),
            timeout=definition.timeout if acting else definition.compensation_timeout,
            grace=self.grace,
            on_process=partial(self._spawned, step, operation),
            on_signal=lambda signal, why: self.recorder.record(
                ev.SignalSent(step=step, operation=operation, signal=signal, why=why)
            ),
            on_resource=lambda urn, op, done: self.recorder.report(
                lambda reporter: reporter.resource(step, self.recorder.redact(urn), op, done)
            ),
        )

    def _spawned(self, step: str, operation: str, role: str, process: ev.Process) -> None:
        event = ev.ProcessSpawned(step=step, operation=operation, role=role, process=process)
        if role == "worker":
            # By itself it touches nothing, and its CLI follows: that is at work when it is told.
            self.recorder.defer(event, UNTIL_ITS_CLI)
        else:
            self.recorder.record(event)

    async def _lacking(self, step: str) -> Outcome | None:
        """Why the step cannot be given what it needs: found out before its work is begun."""
        try:
            sources = self.adapters[step].inputs
            values = await resolve(sources, self.recorder.run, self.outputs, self._reveal)
            if step not in self._given:
                self._given[step] = {}
                with suppress(IncomparableError):
                    self._given[step] = await self._digests(step, values)
        except MissingOutputError as error:
            failure = ev.Failure(kind="program", message=str(error))
            return Outcome(failure=failure, began=False)
        except RefusedError:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001 - as of its work
            return replace(Outcome.raised(error), began=False)
        return None

    async def leave_alone(self, step: str) -> str:
        """Record the step as done where nothing has changed; else why something has."""
        adapter, earlier = self.adapters[step], self.earlier[step]
        try:
            values = await resolve(adapter.inputs, self.recorder.run, self.outputs, self._reveal)
            self._given[step] = await self._digests(step, values)
            why = await unlike(earlier, adapter, self._given[step])
        except (MissingOutputError, IncomparableError) as error:
            return str(error)  # what it is given is looked at again when it runs
        if not why:
            self.outputs[step] = earlier.outputs
            self.recorder.redact.learn(earlier.outputs)
            self.recorder.defer(earlier.again)
        return why

    async def _digests(self, step: str, values: Mapping[str, Any]) -> Mapping[str, str]:
        """Of what the step is given. Raises IncomparableError."""
        run = self.recorder.run
        around = {"LocalStack": run.localstack} if run.definition.aws else {}
        definition = run.definition.step(step)
        return await asyncio.to_thread(digests_of, self.adapters[step], definition, values, around)

    async def _reveal(self, step: str) -> Mapping[str, Any]:
        """Once for each step, however many consume it."""
        async with self._reveals.setdefault(step, asyncio.Lock()):
            if not self._revealed.get(step):
                attempt = max(self.recorder.run.steps[step].attempts, 1)
                call = self.call(Execute(step, attempt))
                self._revealed[step] = await self.adapters[step].reveal_outputs(call)
            return self._revealed[step]
