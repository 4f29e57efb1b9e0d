"""Putting one stack back to what it was before or after an earlier run, as a run of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from msgspec import UNSET
from msgspec.structs import replace

from alma.core import events as ev
from alma.core.operation import aside
from alma.core.result import Result
from alma.core.run import RunStatus
from alma.core.state import fold
from alma.errors import DefinitionError, RefusedError, RunNotFoundError
from alma.journal.journal import utc_now
from alma.journal.known import Known, secrets_of_earlier_runs
from alma.pulumi.engine import RestorePreview, RestoreRequest
from alma.runner.binding import BoundSaga, bind_saga, define, open_sessions
from alma.runner.directory import followed, refuse_another_journal
from alma.runner.lease import take as lease_of
from alma.runner.leased_run import execute_run
from alma.runner.restore_points import (
    Moment,
    RestorePoint,
    StackRun,
    find_restore_point,
    made_by,
    restore_points,
    runs_over,
)
from alma.runner.settings import Settings, new_run_id
from alma.runner.start import aws_target_of, last_run, refuse_unfinished
from alma.saga.saga import Saga
from alma.steps.stack.session import StackSession, minor_version


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A restore that was foreseen. `fingerprint` is of the stack as it was seen then."""

    step: str
    label: str
    point: RestorePoint
    fingerprint: str
    foreseen: RestorePreview


async def restorable(saga: Saga, *, step: str, settings: Settings) -> tuple[RestorePoint, ...]:
    """What the step's stack can be put back to, newest first."""
    async with _opened(saga, step, settings) as (prepared, session, _):
        await session.check()
        known = _known(prepared, session, settings)
        return restore_points(known, session.snapshots)


async def foresee(
    saga: Saga,
    *,
    step: str,
    to: str,
    moment: Moment,
    settings: Settings,
    accept_changes: bool = False,
) -> Plan:
    """What putting the step's stack back would change; touches nothing.

    Raises RunNotFoundError where there is no such run or snapshot, SnapshotError where it is
    damaged or of another stack, AuthenticationError where its secrets cannot be decrypted any
    more, RefusedError where somebody else has changed the stack, unless `accept_changes`.
    """
    async with _opened(saga, step, settings) as (prepared, session, _):
        await session.check()
        known = _known(prepared, session, settings)
        with settings.open(write=False) as journal:
            run = journal.resolve(to)
        engine, snapshots = session.engine, session.snapshots
        (ref,) = session.refs
        label = f"{ref.project}/{ref.stack}"
        chosen = find_restore_point(known, snapshots, run, moment, label)
        document = snapshots.load(chosen.snapshot, ref.project, ref.stack)
        now = await engine.inspect(ref)
        if not now.exists:
            raise RunNotFoundError(
                f"The stack {label} has no record in the backend any more.",
                hint="`alma-pulumi up` makes it again.",
            )
        last = known[-1]
        if last.left not in ("", now.fingerprint) and not accept_changes:
            raise RefusedError(
                f"Somebody else has changed the stack {label} since run {last.run.run} left it.",
                hint="Give --accept-changes to put it back all the same.",
            )
        foreseen = await engine.preview_restore(
            RestoreRequest(
                ref=ref,
                document=document,
                log_dir="",
                python=minor_version(made_by(known, chosen)),
            ),
            aside(asyncio.Event()),
        )
    return Plan(
        step=step,
        label=label,
        point=chosen,
        fingerprint=now.fingerprint,
        foreseen=foreseen,
    )


async def restore(saga: Saga, plan: Plan, settings: Settings) -> Result:
    """Do what was foreseen, as a journaled run; raises as `Saga.execute` does.

    RefusedError when the stack is not any more what it was when that was foreseen.
    """
    async with _opened(saga, plan.step, settings, write=True) as (prepared, session, last):
        definition = prepared.definition
        facts = await session.check()
        with settings.open(write=True) as journal:
            run_id = new_run_id(utc_now())
            with lease_of(journal, definition.target, run_id) as lease:
                refuse_unfinished(journal, definition)
                journal.keys.prepare()
                prepared.redactor.learn(secrets_of_earlier_runs(journal, definition.target))
                session.snapshots.place.need(plan.point.snapshot)
                await _refuse_changed(session, plan)
                created = ev.RunCreated(
                    saga=definition.saga,
                    stack=definition.stack,
                    kind="restore",
                    definition=definition.to_json(),
                    digest=definition.digest,
                    backend=facts.get("backend", ""),
                    origin=settings.origin or saga.file,
                    snapshot=plan.point.snapshot,
                    directory=followed(last),
                    moment=f"{plan.point.moment} {plan.point.run}",
                    versions={**settings.versions, **facts},
                    sealed=prepared.given.seal(journal) or UNSET,
                    parameters=prepared.parameters or UNSET,
                    overrides=prepared.overrides or UNSET,
                    notify=tuple(one for one, _ in prepared.notify) or UNSET,
                )
                run = fold([journal.create_run(run_id, created, lease)])
                return await execute_run(run, journal, lease, prepared, settings, Known())


async def _refuse_changed(session: StackSession, plan: Plan) -> None:
    if (await session.engine.inspect(session.refs[0])).fingerprint != plan.fingerprint:
        raise RefusedError(
            f"The stack {plan.label} was changed while its restore was looked at.",
            hint="Look again: nothing was done.",
        )


@asynccontextmanager
async def _opened(
    saga: Saga, name: str, settings: Settings, *, write: bool = False
) -> AsyncIterator[tuple[BoundSaga, StackSession, RunStatus | None]]:
    """The saga's one step as a definition of its own, which waits for no other; the last run."""
    refuse_another_journal(saga, settings)
    last, _ = last_run(saga, settings)
    defined = define(saga, aws_target_of(last, saga, settings))
    stacks = [step for step in defined.steps if step.project]
    step = next((step for step in stacks if step.name == name), None)
    if step is None:
        raise DefinitionError(
            f'The saga {saga.name} has no stack step "{name}".',
            hint=f"It has: {', '.join(step.name for step in stacks) or 'none'}.",
        )
    alone = replace(step, dependencies=(), inputs={}, compensation="restore", pivot=False)
    defined = replace(defined, steps=(alone,))
    async with open_sessions(
        defined, settings, saga, last=last, follow=True, write=write
    ) as sessions:
        session = sessions[step.kind]
        assert isinstance(session, StackSession)  # noqa: S101 - only a stack has a project
        yield bind_saga(saga, defined, sessions), session, last


def _known(prepared: BoundSaga, session: StackSession, settings: Settings) -> tuple[StackRun, ...]:
    (ref,) = session.refs
    with settings.open(write=False) as journal:
        target = prepared.definition.target
        return runs_over(journal, target, ref, session.engine.where(ref))
