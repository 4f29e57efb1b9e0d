"""New runs: a saga, a journal, an engine and a runner become one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeVar, Unpack

from msgspec import UNSET
from msgspec.structs import replace

from alma.core import events as ev
from alma.core.definition import Definition, LocalStack
from alma.core.result import Result, SagaFailed
from alma.core.run import RunStatus
from alma.core.selection import part_of
from alma.core.state import fold
from alma.core.ttl import read_ttl
from alma.errors import DefinitionError, RefusedError
from alma.journal import Journal
from alma.journal.journal import utc_now
from alma.journal.known import Known, known_of_earlier_runs, secrets_of_earlier_runs
from alma.journal.reading import load_run, newest_run
from alma.runner.again import aws_target, refuse_other_steps
from alma.runner.binding import bind_saga, check, define, noted, open_sessions
from alma.runner.directory import followed, refuse_another_journal, require_directory
from alma.runner.expiring import expiry_of, refuse_existing
from alma.runner.lease import take as lease_of
from alma.runner.leased_run import Drive, execute_run, resume_hint
from alma.runner.notices.required import require_reachable
from alma.runner.outside import outputs_outside, require_given
from alma.runner.required import require_known
from alma.runner.resume import go_on
from alma.runner.settings import Settings, new_run_id
from alma.saga.arguments import SelectOptions, selection_of
from alma.saga.python_file import capture_if_loading
from alma.saga.saga import Saga
from alma.system.descriptors import open_standard

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

    open_standard()
    return asyncio.run(call())


async def up(
    saga: Saga,
    *,
    journal: str | Path | None = None,
    trust: bool = False,
    settings: Settings | None = None,
    handle_signals: bool = True,
    accept_backend: bool = False,
    accept_existing: bool = False,
    changed: bool = False,
    ttl: str | timedelta | None = None,
    **selected: Unpack[SelectOptions],
) -> Result:
    """Run the saga; see `Saga.execute`.

    An interrupted run of the same saga and stack is ended first, because only it knows what it
    made: one that went forward is resumed, and that is all; one that went back is undone to its
    end, and then a new run begins.
    """
    capture_if_loading(saga)  # a file that is being loaded for its saga does not run it
    settings = settings or Settings(
        journal=journal,
        trust=trust,
        handle_signals=handle_signals,
        accept_backend=accept_backend,
        accept_existing=accept_existing,
        changed=changed,
        ttl=None if ttl is None else read_ttl("ttl", ttl),
        selection=selection_of(**selected),
    )
    settings = replace(settings, ttl=settings.ttl or saga.ttl)
    if settings.temporal:
        from alma.runner.temporal.client import begin_there  # Temporal's SDK: for who asks for it

        return await begin_there(saga, settings)
    last, held = last_run(saga, settings)
    if last is not None and last.kind == "up" and not last.state.is_final and not held:
        refuse_other_steps(last, define(saga, settings.aws), settings)
        try:
            result = await go_on(last.run, None, saga, settings, accept_changes=False)
        except SagaFailed as failed:
            if last.direction == "forward" or failed.exit_code != _CLEAN:
                raise
        else:
            return result
    return await begin(saga, "up", settings, last)


async def destroy(
    saga: Saga,
    *,
    journal: str | Path | None = None,
    trust: bool = False,
    settings: Settings | None = None,
    remove: bool = False,
    accept_backend: bool = False,
    **selected: Unpack[SelectOptions],
) -> Result:
    """Take the whole saga down, in reverse order, as a run of its own.

    Stacks are destroyed by their state, actions by calling their compensations. With `remove`
    the stacks' records in the backend go as well. Ends COMPLETED, or raises SagaFailed. Stacks
    are destroyed where their state says that they are, in the backend of the last run; in the one
    that is asked for now with `accept_backend`.
    """
    settings = settings or Settings(
        journal=journal,
        trust=trust,
        accept_backend=accept_backend,
        selection=selection_of(**selected),
    )
    last, _ = last_run(saga, settings)
    settings = as_deployed(last, saga, settings)
    return await begin(saga, "destroy", settings, last, remove=remove)


async def begin(
    saga: Saga,
    kind: ev.RunKind,
    settings: Settings,
    last: RunStatus | None,
    *,
    remove: bool = False,
    drive: Drive = execute_run,
) -> Result:
    """A new run, whatever the last one was; `last` is the one whose stacks are there."""
    capture_if_loading(saga)
    if settings.parent is None:
        settings = replace(settings, ttl=settings.ttl or saga.ttl)
    refuse_another_journal(saga, settings)
    whole = define(saga, settings.aws)
    chosen = settings.selection.chosen(whole, kind)
    defined = part_of(whole, chosen)
    left_out = tuple(step.name for step in whole.steps if step.name not in chosen)
    if kind == "up" and saga.notify and settings.parent is None:
        require_reachable(saga.notify)
    last = None if settings.accept_backend else last
    follow = kind == "destroy"
    if not follow:
        require_given(saga, defined, settings)
    async with open_sessions(
        defined, settings, saga, last=last, follow=follow, write=True
    ) as sessions:
        prepared = bind_saga(saga, defined, sessions)
        gates = prepared.gates.values() if kind == "up" else ()
        facts = await check(sessions, prepared.adapters.values(), gates)
        if kind == "up":
            await refuse_existing(prepared.definition, prepared.adapters, settings)
        saga.freeze()
        with settings.open(write=True) as journal:
            run_id = settings.run_id or new_run_id(utc_now())
            definition = prepared.definition
            with lease_of(journal, definition.target, run_id) as lease:
                refuse_unfinished(journal, definition)
                expiry = expiry_of(journal, definition.target, settings) if kind == "up" else None
                known = Known()
                if kind == "destroy":
                    known = known_of_earlier_runs(journal, definition)
                    require_known(definition, prepared.adapters, definition.order, known)
                else:
                    given = await outputs_outside(saga, whole, defined, settings, last)
                    prepared.given.outputs.update(given)
                    known.outputs.update(given)
                journal.keys.prepare()
                prepared.redactor.learn(secrets_of_earlier_runs(journal, definition.target))
                created = ev.RunCreated(
                    saga=definition.saga,
                    stack=definition.stack,
                    kind=kind,
                    definition=definition.to_json(),
                    digest=definition.digest,
                    backend=facts.get("backend", ""),
                    origin=settings.origin or saga.file,
                    remove_records=remove,
                    directory=followed(last if follow else None),
                    versions={**settings.versions, **facts},
                    sealed=prepared.given.seal(journal) or UNSET,
                    parameters=prepared.parameters or UNSET,
                    overrides=prepared.overrides or UNSET,
                    notes=noted(sessions),
                    left_out=left_out or UNSET,
                    changed=(kind == "up" and settings.changed) or UNSET,
                    repairs=(kind == "up" and settings.repairs) or UNSET,
                    parent=settings.parent or UNSET,
                    expiry=expiry or UNSET,
                    notify=tuple(one for one, _ in saga.notify) or UNSET,
                )
                run = fold([journal.create_run(run_id, created, lease)])
                return await drive(run, journal, lease, prepared, settings, known)


def as_deployed(last: RunStatus | None, saga: Saga, settings: Settings) -> Settings:
    """Settings for who takes down what the last run has made. Refuses where it is not from here."""
    settings = replace(settings, aws=aws_target_of(last, saga, settings))
    if last is not None:
        require_directory(last, "back")
    return settings


def last_run(saga: Saga, settings: Settings) -> tuple[RunStatus | None, bool]:
    """The newest run of the saga, and whether somebody is at work on it."""
    target = saga.target
    with settings.open(write=False) as reader:
        return newest_run(reader, target), reader.is_held(target)


def aws_target_of(last: RunStatus | None, saga: Saga, settings: Settings) -> LocalStack | None:
    """Where AWS steps of the last run went; DefinitionError when another place is asked for.

    A destroy or a restore goes by the stacks' state, so it could not do what was asked, and
    would change in one place what is believed to be in the other.
    """
    asked = settings.aws or saga.aws
    if last is None:
        return asked
    there = last.definition.aws
    if asked is not None and asked != there:
        raise DefinitionError(
            f"Run {last.run} of {last.definition.target} took AWS steps to {aws_target(there)}, "
            f"not to {aws_target(asked)}.",
            hint="Stacks are taken down and put back where they are: leave --localstack "
            "out, and aws= as it was. If LocalStack has moved, `up` comes first.",
        )
    return there


def refuse_unfinished(journal: Journal, definition: Definition) -> None:
    """An interrupted run on this target must be ended first: only it knows what it made."""
    for row in journal.runs(limit=1, target=definition.target):
        last = load_run(journal, row.run)
        if not last.state.is_final:
            raise RefusedError(
                f"Run {row.run} of {definition.target} was interrupted "
                f"({last.state.name}) and is not over.",
                hint=resume_hint(last),
            )
