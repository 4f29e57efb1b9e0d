"""The composition root: a saga, a journal, an engine and a runner become a run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

from alma.core import events as ev
from alma.core.definition import Definition, LocalStack
from alma.core.result import Result, SagaFailed, make_result
from alma.core.run import RunStatus, SagaState
from alma.errors import DefinitionError, RefusedError
from alma.journal.journal import Journal, utc_now
from alma.journal.reading import folded
from alma.runner.again import choose_direction, place, prepare_again
from alma.runner.binding import from_saga
from alma.runner.ending import conclude, way_on
from alma.runner.leased_run import drive
from alma.runner.settings import Settings, actor, new_run_id, open_engine
from alma.saga.python_file import capture_if_loading
from alma.saga.saga import Saga
from alma.steps.stack.localstack import require_localstack
from alma.steps.stack.step import StackStep

T = TypeVar("T")

_CLEAN: Final = 4
"""The exit code of a run whose undo is verified."""


def run_sync(main: Callable[[], Awaitable[T]]) -> T:
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

    async def call() -> T:
        return await main()

    return asyncio.run(call())


async def up(
    saga: Saga, *, journal: str | Path | None = None, settings: Settings | None = None
) -> Result:
    """Run the saga; see `Saga.execute`.

    An interrupted run of the same saga and stack is ended first, because only it knows what it
    made: one that went forward is resumed, and that is all; one that went back is undone to its
    end, and then a new run begins.
    """
    capture_if_loading(saga)  # a file that is being loaded for its saga does not run it
    settings = settings or Settings(journal=journal)
    interrupted = _interrupted(saga, settings)
    if interrupted is not None and interrupted.kind == "up":
        try:
            result = await _go_on(interrupted.run, None, saga, settings, accept_changes=False)
        except SagaFailed as failed:
            if interrupted.direction == "forward" or failed.exit_code != _CLEAN:
                raise
        else:
            return result
    return await _start(saga, "up", settings)


async def destroy(
    saga: Saga,
    *,
    journal: str | Path | None = None,
    settings: Settings | None = None,
    remove: bool = False,
) -> Result:
    """Take the whole saga down, in reverse order, as a run of its own.

    Stacks are destroyed by their state, actions by calling their compensations. With `remove`
    the stacks' records in the backend go as well. Ends COMPLETED, or raises SagaFailed. Stacks
    are destroyed where their state says that they are.
    """
    settings = settings or Settings(journal=journal)
    settings = replace(settings, aws=where_it_went(saga, settings))
    return await _start(saga, "destroy", settings, remove=remove)


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
    capture_if_loading(saga)
    needed = any(isinstance(step, StackStep) for step in saga.steps)
    async with open_engine(settings, saga.parallelism, needed=needed) as engine:
        prepared = from_saga(saga, engine, settings.modules, settings.aws)
        await require_localstack(prepared.definition)
        facts = await engine.check(prepared.refs) if engine is not None else {}
        saga.freeze()
        with settings.open_journal(settings.journal_path, write=True) as journal:
            run_id = new_run_id(utc_now())
            definition = prepared.definition
            with journal.acquire(definition.target, run_id, actor=actor()) as lease:
                refuse_unfinished(journal, definition)
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
                run = folded(journal, [journal.create_run(run_id, created, lease)])
                return await drive(run, journal, lease, prepared, settings)


def _interrupted(saga: Saga, settings: Settings) -> RunStatus | None:
    """The newest run of this target, when it is not over and nobody is at work on it."""
    target = f"{saga.name}/{saga.stack}"
    with settings.open_journal(settings.journal_path, write=False) as reader:
        for row in reader.runs(limit=1, target=target):
            run = folded(reader, reader.events(row.run))
            if not run.state.is_final and not reader.is_held(target):
                return run
    return None


def where_it_went(saga: Saga, settings: Settings) -> LocalStack | None:
    """Where AWS steps of the newest run went; DefinitionError when another place is asked for.

    A destroy or a restore goes by the stacks' state, so it could not do what was asked, and
    would change in one place what is believed to be in the other.
    """
    asked = settings.aws or saga.aws
    target = f"{saga.name}/{saga.stack}"
    with settings.open_journal(settings.journal_path, write=False) as reader:
        for row in reader.runs(limit=1, target=target):
            newest = folded(reader, reader.events(row.run)).plan
            if asked is not None and asked != newest.aws:
                raise DefinitionError(
                    f"Run {row.run} of {target} took AWS steps to {place(newest.aws)}, "
                    f"not to {place(asked)}.",
                    hint="Stacks are taken down and put back where they are: leave --localstack "
                    "out, and aws= as it was. If LocalStack has moved, `up` comes first.",
                )
            return newest.aws
    return asked


def refuse_unfinished(journal: Journal, definition: Definition) -> None:
    """An interrupted run on this target must be ended first: only it knows what it made."""
    for row in journal.runs(limit=1, target=definition.target):
        last = folded(journal, journal.events(row.run))
        if not last.state.is_final:
            raise RefusedError(
                f"Run {row.run} of {definition.target} was interrupted "
                f"({last.state.name}) and is not over.",
                hint=way_on(last),
            )


def _refuse_superseded(journal: Journal, run: RunStatus) -> None:
    """A later run has built on what this one left: it is no longer this one's to undo."""
    newest = journal.runs(limit=1, target=run.plan.target)[0].run
    if newest != run.run:
        raise DefinitionError(
            f"Run {run.run} is not the newest of {run.plan.target}: run {newest} came after it, "
            "and the stacks may be its own by now.",
            hint="Take the saga down with `alma-pulumi destroy`, or leave it as it is.",
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
        run = folded(reader, reader.events(run_id))
    if run.state in (SagaState.COMPLETED, SagaState.COMPENSATED):
        if direction == "back" and run.state is SagaState.COMPLETED:
            raise DefinitionError(
                f"Run {run_id} is COMPLETED: there is nothing to roll back.",
                hint="To take its stacks down, use `alma-pulumi destroy`.",
            )
        return conclude(run, make_result(run, interrupted=False), {})
    wanted = choose_direction(run, direction)
    needed = any(step.kind == "stack" for step in run.plan.steps)
    async with open_engine(settings, run.plan.parallelism, needed=needed) as engine:
        prepared, accepted = prepare_again(
            run, wanted, saga, engine, settings, accept_changes=accept_changes
        )
        await require_localstack(prepared.definition)
        facts = await engine.check(prepared.refs) if engine is not None else {}
        if facts.get("backend", run.backend) != run.backend:
            raise DefinitionError(
                f"Run {run_id} keeps its state in {run.backend}, not in {facts['backend']}.",
                hint="Run from the same directory, or set PULUMI_BACKEND_URL to it.",
            )
        with (
            settings.open_journal(settings.journal_path, write=True) as journal,
            journal.acquire(run.plan.target, run_id, actor=actor()) as lease,
        ):
            run = folded(journal, journal.events(run_id))
            if run.state in (SagaState.COMPLETED, SagaState.COMPENSATED):
                return conclude(run, make_result(run, interrupted=False), {})
            _refuse_superseded(journal, run)
            resumed = ev.RunResumed(direction=wanted, actor=actor(), definition=accepted)
            return await drive(run, journal, lease, prepared, settings, resumed)
