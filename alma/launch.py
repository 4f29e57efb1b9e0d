"""The composition root: a saga, a journal, an engine and a runner become a run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Final, Protocol

from alma import events as ev
from alma.again import choose_direction, prepare_again
from alma.definition import Definition
from alma.engine.protocol import Engine
from alma.errors import DefinitionError, JournalError, RefusedError, SagaFailed, SagaInterrupted
from alma.identity import actor, new_run_id, utc_now, versions
from alma.inputs import from_earlier_runs
from alma.journal import Journal
from alma.lease import Lease
from alma.loading import hand_over
from alma.operation import Operations
from alma.prepare import Prepared, from_definition, from_saga
from alma.recorder import Recorder, Reporter
from alma.result import Result, make_result
from alma.runner import Runner
from alma.saga import Saga
from alma.state import fold
from alma.status import RunStatus, SagaState
from alma.step import StackStep
from alma.steps.base import StepAdapter

DEFAULT_JOURNAL: Final = Path(".alma") / "journal.db"


class OpenJournal(Protocol):
    """How a journal is opened: `Journal.open`, or a test's wrapper around it."""

    def __call__(self, path: Path, *, write: bool) -> Journal:
        """See `Journal.open`."""
        ...


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where and with what a run is made; all optional.

    `origin` is `file.py:name`, for `resume`; `modules` travel to workers by value; `grace` is
    how many seconds an operation may drain after its deadline; `open_journal` is where a test
    puts its own faults between a run and its journal.
    """

    journal: str | Path | None = None
    reporter: Reporter | None = None
    engine: Engine | None = None
    origin: str = ""
    modules: tuple[ModuleType, ...] = ()
    grace: float = 30.0
    open_journal: OpenJournal = Journal.open
    versions: Mapping[str, str] = field(default_factory=versions)

    @property
    def journal_path(self) -> Path:
        """The journal's path."""
        return Path(self.journal or DEFAULT_JOURNAL)


def run_sync(main: Callable[[], Awaitable[Result]]) -> Result:
    """Run a coroutine to its end in a loop of its own.

    Raises DefinitionError where a loop is already running (a notebook): await there instead.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise DefinitionError(
            "saga.run() was called inside a running event loop.",
            hint="Use `await saga.execute()` there.",
        )

    async def call() -> Result:
        return await main()

    return asyncio.run(call())


async def up(
    saga: Saga, *, journal: str | Path | None = None, settings: Settings | None = None
) -> Result:
    """Run the saga; see `Saga.execute`."""
    return await _start(saga, "up", settings or Settings(journal=journal))


async def destroy(
    saga: Saga,
    *,
    journal: str | Path | None = None,
    settings: Settings | None = None,
    remove: bool = False,
) -> Result:
    """Take the whole saga down, in reverse order, as a run of its own.

    Stacks are destroyed by their state, actions by calling their compensations. With `remove`
    the stacks' records in the backend go as well. Ends COMPLETED, or raises SagaFailed.
    """
    return await _start(saga, "destroy", settings or Settings(journal=journal), remove=remove)


async def resume(
    run: str = "latest",
    *,
    saga: Saga | None = None,
    journal: str | Path | None = None,
    settings: Settings | None = None,
    accept_changes: bool = False,
) -> Result:
    """Go on with a run in the direction it had; a finished one is only reported.

    `saga` is needed to go forward, and to undo by functions. Raises as `Saga.execute` does, and
    DefinitionError when the saga is not the one that the run was started with, unless
    `accept_changes`.
    """
    return await _go_on(
        run, None, saga, settings or Settings(journal=journal), accept_changes=accept_changes
    )


async def rollback(
    run: str = "latest",
    *,
    saga: Saga | None = None,
    journal: str | Path | None = None,
    settings: Settings | None = None,
) -> Result:
    """Undo a run that was interrupted or FAILED, and verify it; raises as `resume` does."""
    return await _go_on(
        run, "back", saga, settings or Settings(journal=journal), accept_changes=True
    )


# -- new runs --------------------------------------------------------------------------------


async def _start(
    saga: Saga, kind: ev.RunKind, settings: Settings, *, remove: bool = False
) -> Result:
    hand_over(saga)  # a file that is being loaded for its saga does not run it
    needed = any(isinstance(step, StackStep) for step in saga.steps)
    async with open_engine(settings, saga.parallelism, needed=needed) as engine:
        prepared = from_saga(saga, engine, settings.modules)
        facts = await engine.check() if engine is not None else {}
        saga.freeze()
        with settings.open_journal(settings.journal_path, write=True) as journal:
            run_id = new_run_id(utc_now())
            definition = prepared.definition
            with journal.acquire(definition.target, run_id, actor=actor()) as lease:
                _refuse_unfinished(journal, definition)
                created = ev.RunCreated(
                    saga=definition.saga,
                    stack=definition.stack,
                    kind=kind,
                    definition=definition.to_json(),
                    digest=definition.digest,
                    backend=facts.get("backend", ""),
                    origin=settings.origin,
                    remove_records=remove,
                    versions={**settings.versions, **facts},
                )
                run = fold([journal.create_run(run_id, created, lease)])
                return await _drive(run, journal, lease, prepared, settings)


def _refuse_unfinished(journal: Journal, definition: Definition) -> None:
    """An interrupted run on this target must be ended first: only it knows what it made."""
    for row in journal.runs(limit=1, target=definition.target):
        last = fold(journal.events(row.run))
        if not last.state.is_final:
            raise RefusedError(
                f"Run {row.run} of {definition.target} was interrupted "
                f"({last.state.name}) and is not over.",
                hint=f"Go on with `alma-pulumi resume {row.run}`, "
                f"or undo it with `alma-pulumi rollback {row.run}`.",
            )


# -- runs that exist -------------------------------------------------------------------------


async def _go_on(
    reference: str,
    direction: ev.Direction | None,
    saga: Saga | None,
    settings: Settings,
    *,
    accept_changes: bool,
) -> Result:
    with settings.open_journal(settings.journal_path, write=False) as reader:
        run_id = reader.resolve(reference)
        run = fold(reader.events(run_id))
    if run.state in (SagaState.COMPLETED, SagaState.COMPENSATED):
        if direction == "back" and run.state is SagaState.COMPLETED:
            raise DefinitionError(
                f"Run {run_id} is COMPLETED: there is nothing to roll back.",
                hint="To take its stacks down, use `alma-pulumi destroy`.",
            )
        return _ended(run, make_result(run, interrupted=False), {})
    wanted = choose_direction(run, direction)
    needed = any(step.kind == "stack" for step in run.plan.steps)
    async with open_engine(settings, run.plan.parallelism, needed=needed) as engine:
        prepared, accepted = prepare_again(
            run, wanted, saga, engine, settings.modules, accept_changes=accept_changes
        )
        facts = await engine.check() if engine is not None else {}
        if facts.get("backend", run.backend) != run.backend:
            raise DefinitionError(
                f"Run {run_id} keeps its state in {run.backend}, not in {facts['backend']}.",
                hint="Run from the same directory, or set PULUMI_BACKEND_URL to it.",
            )
        with (
            settings.open_journal(settings.journal_path, write=True) as journal,
            journal.acquire(run.plan.target, run_id, actor=actor()) as lease,
        ):
            run = fold(journal.events(run_id))
            if run.state in (SagaState.COMPLETED, SagaState.COMPENSATED):
                return _ended(run, make_result(run, interrupted=False), {})
            resumed = ev.RunResumed(direction=wanted, actor=actor(), definition=accepted)
            return await _drive(run, journal, lease, prepared, settings, resumed)


# -- both ------------------------------------------------------------------------------------


@asynccontextmanager
async def open_engine(
    settings: Settings, parallelism: int, *, needed: bool
) -> AsyncIterator[Engine | None]:
    """The given engine, or a Pulumi of our own where any step is a stack."""
    if settings.engine is not None or not needed:
        yield settings.engine
        return
    from alma.engine.pool import PulumiEngine

    engine = PulumiEngine(parallelism=parallelism)
    try:
        yield engine
    finally:
        await engine.close()


@asynccontextmanager
async def existing_run(
    reference: str, settings: Settings
) -> AsyncIterator[tuple[Recorder, Mapping[str, StepAdapter]]]:
    """A run under a lease of our own, to be looked at and written to, but not driven.

    Raises RunNotFoundError, RunnerBusyError while somebody drives it, JournalError.
    """
    with settings.open_journal(settings.journal_path, write=False) as reader:
        run_id = reader.resolve(reference)
        plan = fold(reader.events(run_id)).plan
    needed = any(step.kind == "stack" for step in plan.steps)
    async with open_engine(settings, plan.parallelism, needed=needed) as engine:
        prepared = from_definition(plan, engine)
        with (
            settings.open_journal(settings.journal_path, write=True) as journal,
            journal.acquire(plan.target, run_id, actor=actor()) as lease,
        ):
            run = fold(journal.events(run_id))
            yield Recorder(run, journal, lease, prepared.redactor, None), prepared.adapters


async def _drive(
    run: RunStatus,
    journal: Journal,
    lease: Lease,
    prepared: Prepared,
    settings: Settings,
    resumed: ev.RunResumed | None = None,
) -> Result:
    recorder = Recorder(run, journal, lease, prepared.redactor, settings.reporter)
    operations = Operations(
        recorder=recorder,
        adapters=prepared.adapters,
        logs=(journal.path.parent / "logs" / run.run).absolute(),
        grace=settings.grace,
    )
    if run.kind == "destroy":
        operations.live.update(from_earlier_runs(journal, run))
    recorder.record(ev.RunnerAttached(process=lease.process, actor=lease.actor))
    if resumed is not None:
        recorder.record(resumed)
    try:
        await Runner(operations).drive()
    except JournalError as error:
        if not any(run.started()):
            raise
        raise SagaInterrupted(
            f'Saga "{run.plan.saga}" (run {run.run}) was stopped: {error.message}',
            make_result(run, interrupted=True, live=operations.live),
            hint="What was under way has ended; its outcome is on stderr. Mend the journal's "
            f"place, then `alma-pulumi resume {run.run}`.",
        ) from error
    interrupted = not run.state.is_final
    result = make_result(run, interrupted=interrupted, live=operations.live)
    return _ended(run, result, operations.causes)


def _ended(run: RunStatus, result: Result, causes: Mapping[str, BaseException]) -> Result:
    """The result of a COMPLETED run; otherwise the error that carries it."""
    if result.state is SagaState.COMPLETED:
        return result
    name = f'Saga "{run.plan.saga}" (run {run.run})'
    cause = causes.get(result.failed_step) or (
        StepError(result.failed_step, result.error) if result.error else None
    )
    if result.interrupted:
        raise SagaInterrupted(
            f"{name} was interrupted while {run.state.name}.",
            result,
            hint=f"Go on with `alma-pulumi resume {run.run}`, "
            f"or undo it with `alma-pulumi rollback {run.run}`.",
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
        hint=f"`alma-pulumi status {run.run}` names them.",
    ) from cause


class StepError(Exception):
    """Why a step failed, where no exception of the user's own code tells it."""

    def __init__(self, step: str, failure: ev.Failure) -> None:
        super().__init__(f'step "{step}": {failure.message}')
        self.step = step
        self.failure = failure
