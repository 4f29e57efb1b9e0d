"""A run under its lease: driven to its end and told as a result, or opened to be written to."""

from __future__ import annotations

import asyncio
import os
import shlex
import traceback
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
from typing import Protocol

from msgspec.structs import replace

from alma.core import events as ev
from alma.core.approval import either
from alma.core.notice import secrets_of
from alma.core.redaction import Redactor
from alma.core.result import Result, SagaFailed, SagaInterrupted, make_result
from alma.core.run import RunStatus, SagaState
from alma.core.state import uncover
from alma.errors import JournalError
from alma.journal import Journal
from alma.journal.known import Known
from alma.journal.lease import Lease
from alma.journal.reading import load_run
from alma.runner.binding import BoundSaga, bind_to_name, open_sessions
from alma.runner.changed import earlier_of
from alma.runner.executor import Executor
from alma.runner.lease import take as lease_of
from alma.runner.logs import log_of
from alma.runner.recorder import Recorder, Reporter
from alma.runner.redacting import secrets_known_of
from alma.runner.runner import Runner
from alma.runner.settings import Settings
from alma.runner.signals import catch_signals
from alma.steps.base import StepHandler
from alma.steps.registry import sees_alone
from alma.system.environment import secrets_in_environment
from alma.system.trace_context import is_configured


class Drive(Protocol):
    """Who has a run go on that has just been created, or taken up: `execute_run`, or another."""

    async def __call__(
        self,
        run: RunStatus,
        journal: Journal,
        lease: Lease,
        prepared: BoundSaga,
        settings: Settings,
        known: Known,
        resumed: ev.RunResumed | None = None,
        gone: Sequence[ev.HostDeclaredGone] = (),
    ) -> Result:
        """See `execute_run`."""
        ...


async def execute_run(
    run: RunStatus,
    journal: Journal,
    lease: Lease,
    prepared: BoundSaga,
    settings: Settings,
    known: Known,
    resumed: ev.RunResumed | None = None,
    gone: Sequence[ev.HostDeclaredGone] = (),
) -> Result:
    """Drive the run; returns or raises as `result_or_raise` does.

    `known` is what earlier processes have left to be used.
    """
    notices = told(run, journal, settings, prepared)
    async with aside(notices, handle_signals=settings.handle_signals) as shown:
        with _reporting(run, shown) as reporter:
            watched = replace(settings, reporter=reporter)
            return await _drive(run, journal, lease, prepared, watched, known, resumed, gone)


@asynccontextmanager
async def aside(
    within: AbstractContextManager[Reporter | None], *, handle_signals: bool = False
) -> AsyncIterator[Reporter | None]:
    """Ended in a thread: what it waits for does not hold up the loop.

    A signal that comes meanwhile ends nothing: the run is over, and so is the wait in a moment.
    """
    shown = within.__enter__()
    try:
        yield shown
    finally:
        with catch_signals(lambda _signal: None, handle=handle_signals):
            await asyncio.to_thread(within.__exit__, None, None, None)


@contextmanager
def told(
    run: RunStatus, journal: Journal, settings: Settings, prepared: BoundSaga | None = None
) -> Iterator[Reporter | None]:
    """With who delivers notices of it, and what was not delivered before."""
    notify = prepared.notify if prepared else ()
    shown = settings.reporter if prepared else None
    if not (notify or run.notify or journal.deliveries(still_open=True)):
        yield shown
        return
    # For who is to be told alone.
    from alma.runner.notices.beside import notified
    from alma.runner.notices.delivering import Post

    target = run.definition.target
    post = Post(
        held={(target, notifier.name): secrets for notifier, secrets in notify},
        # Who only keeps the books runs no program.
        programs=frozenset([target] if prepared else []),
    )
    with notified(run.run, shown, settings, post) as reporter:
        yield reporter


@contextmanager
def _reporting(run: RunStatus, shown: Reporter | None) -> Iterator[Reporter | None]:
    """Who is told of the run: also its trace, where the environment asks for one."""
    if not (is_configured(os.environ) or is_configured(os.environ, "METRICS")):
        yield shown
        return
    from alma.runner.tracing import traced  # OpenTelemetry's SDK: for who asks for it alone

    with traced(run, shown) as reporter:
        yield reporter


async def _drive(
    run: RunStatus,
    journal: Journal,
    lease: Lease,
    prepared: BoundSaga,
    settings: Settings,
    known: Known,
    resumed: ev.RunResumed | None,
    gone: Sequence[ev.HostDeclaredGone],
) -> Result:
    recorder = Recorder(run, journal, lease, prepared.redactor, settings.reporter)
    executor = executor_of(recorder, journal, prepared, settings, known)
    # Committed with the first intent: until then nothing is done that anybody would look for.
    recorder.defer(ev.RunnerAttached(process=lease.process, actor=lease.actor))
    if resumed is not None:
        recorder.defer(resumed)
    for word in gone:
        recorder.record(word)  # before a lock is broken by it
    try:
        await Runner(executor, handle_signals=settings.handle_signals).drive()
    except JournalError as error:
        with suppress(JournalError):
            # What could not be committed was taken into the state already: it counts for nothing.
            run = load_run(journal, run.run)
        if not any(run.started()):
            raise
        raise SagaInterrupted(
            f'Saga "{run.definition.saga}" (run {run.run}) was stopped: {error.message}',
            make_result(run, interrupted=True, live=executor.outputs),
            hint="What was under way has ended; its outcome is on stderr. Mend the journal's "
            f"place, then `alma-pulumi resume {run.word}`.",
        ) from error
    interrupted = not run.state.is_final
    result = make_result(run, interrupted=interrupted, live=executor.outputs)
    shown = {
        step: error
        for step, error in executor.exceptions.items()
        if not _tells(error, recorder.redact)
    }
    return result_or_raise(run, result, shown)


def executor_of(
    recorder: Recorder, journal: Journal, prepared: BoundSaga, settings: Settings, known: Known
) -> Executor:
    """What makes the operations of a run, which knows all that earlier processes have left."""
    run = recorder.run
    for step in run.steps.values():
        if step.open is not None:
            log_of(recorder.logs, step.open.id)  # refused before anything is touched
    executor = Executor(
        recorder=recorder,
        adapters=prepared.adapters,
        logs=recorder.logs,
        grace=settings.grace,
        outputs=known.outputs,
        gates=prepared.gates,
        earlier=earlier_of(journal, run.definition) if run.changed else {},
    )
    recorder.redact.learn(known.outputs)
    recorder.redact.learn(secrets_in_environment(os.environ))
    notifiers = (*run.notify, *(one for one, _ in prepared.notify))
    held = (secrets for _, secrets in prepared.notify)
    recorder.redact.learn(secrets_of(notifiers, os.environ, held))
    for step in run.steps.values():
        for token in step.hidden:
            uncover(step, journal.keys.unseal(token))
    return executor


def _tells(error: BaseException, redact: Redactor) -> bool:
    """Whether a traceback of it would show a secret: then its words are told without."""
    try:
        text = "".join(traceback.format_exception(error))
    except Exception:  # noqa: BLE001 - nobody can tell
        return True
    return redact(text) != text


def result_or_raise(
    run: RunStatus, result: Result, exceptions: Mapping[str, BaseException]
) -> Result:
    """The result of a COMPLETED run; otherwise the error that carries it."""
    if result.state is SagaState.COMPLETED:
        return result
    name = f'Saga "{run.definition.saga}" (run {run.run})'
    cause = exceptions.get(result.failed_step) or (
        StepError(result.failed_step, result.error) if result.error else None
    )
    if result.interrupted and run.waiting:
        raise SagaInterrupted(f"{name} {waits(run)}.", result, hint=approval_hint(run)) from cause
    if result.interrupted:
        raise SagaInterrupted(
            f"{name} was interrupted while {run.state.name}.",
            result,
            hint=resume_hint(run),
        ) from cause
    why = result.error.message if result.error else run.reason
    failed = (
        f'{name} failed at step "{result.failed_step}": {why}'
        if result.failed_step
        else (f"{name} ended: {why}")
    )
    if not failed.endswith((".", "!", "?")):
        failed += "."  # what a program or a provider said need not end as a sentence does
    if result.state is SagaState.COMPENSATED:
        raise SagaFailed(f"{failed} Everything it did is verified undone.", result) from cause
    raise SagaFailed(
        f"{failed} {len(result.leftovers)} leftovers remain.",
        result,
        hint=f"`alma-pulumi status {run.word}` names them.",
    ) from cause


def waits(run: RunStatus) -> str:
    """For whom it waits, and about which plans."""
    asked = [one.approval.asked for one in run.waiting if one.approval is not None]
    who = (f'"{one.step}" (plan {one.digest[:12]}) by {either(one.approvers)}' for one in asked)
    return f"waits for approval of {', and of '.join(who)}"


def approval_hint(run: RunStatus) -> str:
    """What whoever may approve has to type."""
    step = shlex.quote(run.waiting[0].name)
    return (
        f"`alma-pulumi approve {run.word} {step} --reason ...` (or `refuse`), then "
        f"`alma-pulumi resume {run.word}`."
    )


def resume_hint(run: RunStatus) -> str:
    """How an interrupted run goes on."""
    from alma.runner.hosts import if_gone  # psutil: only once a run is interrupted

    which = run.word if run.origin else f"{run.word} --target FILE"
    undo = "" if run.backward_only else f", or undo it with `alma-pulumi rollback {which}`"
    return f"Go on with `alma-pulumi resume {which}`{undo}.{if_gone(run)}"


class StepError(Exception):
    """Why a step failed, where no exception of the user's own code tells it."""

    def __init__(self, step: str, failure: ev.Failure) -> None:
        super().__init__(f'step "{step}": {failure.message}')
        self.step = step
        self.failure = failure


@asynccontextmanager
async def open_run(
    reference: str, settings: Settings, *, over: bool = False
) -> AsyncIterator[tuple[Recorder, Mapping[str, StepHandler]]]:
    """A run under a lease of our own, to be looked at and written to, but not driven.

    Raises RunNotFoundError, RunnerBusyError while somebody drives it (`over`: but for a workflow
    that does nothing just now), JournalError.
    """
    with settings.open(write=False) as reader:
        run = load_run(reader, reader.resolve(reference))
        secrets = secrets_known_of(reader, run)
    run_id, plan = run.run, run.definition
    seen = replace(plan, steps=tuple(step for step in plan.steps if sees_alone(step.kind)))
    async with open_sessions(seen, settings, last=run, follow=True) as sessions:
        prepared = bind_to_name(plan, sessions)
        prepared.redactor.learn(secrets)
        with (
            settings.open(write=True) as journal,
            lease_of(journal, plan.target, run_id, over=over) as lease,
        ):
            run = load_run(journal, run_id)
            notices = told(run, journal, settings)
            async with aside(notices, handle_signals=settings.handle_signals) as reporter:
                yield Recorder(run, journal, lease, prepared.redactor, reporter), prepared.adapters
