"""A run under its lease: driven to its end, or opened to be looked at and written to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

from alma.core import events as ev
from alma.core.result import Result, SagaInterrupted, make_result
from alma.core.run import RunStatus
from alma.errors import JournalError
from alma.journal.journal import Journal
from alma.journal.lease import Lease
from alma.journal.reading import folded
from alma.pulumi.snapshots import Snapshots, directory_of
from alma.runner.binding import BoundSaga, from_definition
from alma.runner.ending import conclude
from alma.runner.executor import Executor
from alma.runner.inputs import from_earlier_runs
from alma.runner.recorder import Recorder
from alma.runner.runner import Runner
from alma.runner.settings import Settings, actor, open_engine
from alma.steps.base import StepHandler


async def drive(
    run: RunStatus,
    journal: Journal,
    lease: Lease,
    prepared: BoundSaga,
    settings: Settings,
    resumed: ev.RunResumed | None = None,
) -> Result:
    """Drive the run; returns or raises as `alma.runner.ending.conclude` does."""
    recorder = Recorder(run, journal, lease, prepared.redactor, settings.reporter)
    operations = Executor(
        recorder=recorder,
        adapters=prepared.adapters,
        logs=(journal.path.parent / "logs" / run.run).absolute(),
        grace=settings.grace,
    )
    prepared.keep_snapshots(Snapshots(directory_of(journal.path)))
    if run.kind == "destroy":
        for step, (earlier, outputs) in from_earlier_runs(journal, run).items():
            operations.origins[step], operations.live[step] = earlier, outputs
    # Committed with the first intent: until then nothing is done that anybody would look for.
    recorder.note(ev.RunnerAttached(process=lease.process, actor=lease.actor))
    if resumed is not None:
        recorder.note(resumed)
    try:
        await Runner(operations).drive()
    except JournalError as error:
        with suppress(JournalError):
            # What could not be committed was taken into the state already: it counts for nothing.
            run = folded(journal, journal.events(run.run))
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
    return conclude(run, result, operations.causes)


@asynccontextmanager
async def existing_run(
    reference: str, settings: Settings
) -> AsyncIterator[tuple[Recorder, Mapping[str, StepHandler]]]:
    """A run under a lease of our own, to be looked at and written to, but not driven.

    Raises RunNotFoundError, RunnerBusyError while somebody drives it, JournalError.
    """
    with settings.open_journal(settings.journal_path, write=False) as reader:
        run_id = reader.resolve(reference)
        plan = folded(reader, reader.events(run_id)).plan
    needed = any(step.kind == "stack" for step in plan.steps)
    async with open_engine(settings, plan.parallelism, needed=needed) as engine:
        prepared = from_definition(plan, engine)
        with (
            settings.open_journal(settings.journal_path, write=True) as journal,
            journal.acquire(plan.target, run_id, actor=actor()) as lease,
        ):
            run = folded(journal, journal.events(run_id))
            yield Recorder(run, journal, lease, prepared.redactor, None), prepared.adapters
