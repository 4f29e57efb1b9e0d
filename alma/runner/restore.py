"""Putting one stack back to what it was before or after an earlier run, as a run of its own."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from alma.core import events as ev
from alma.core.operation import Operation
from alma.core.result import Result
from alma.errors import DefinitionError, RefusedError, RunNotFoundError
from alma.journal.journal import utc_now
from alma.journal.reading import folded
from alma.pulumi.engine import Engine, RestorePreview, RestoreRequest, StackRef
from alma.pulumi.snapshots import Snapshots, directory_of
from alma.runner.binding import BoundSaga, bind_saga
from alma.runner.leased_run import execute_run
from alma.runner.restore_points import (
    Moment,
    RestorePoint,
    StackRun,
    find_restore_point,
    restore_points,
    runs_over,
)
from alma.runner.settings import Settings, actor, new_run_id, open_engine
from alma.runner.start import aws_target_of_last_run, refuse_unfinished
from alma.saga.saga import Saga
from alma.steps.stack.localstack import require_localstack


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
    async with open_engine(settings, 1, needed=True) as engine:
        known = await _known(_narrow(saga, step, engine, settings), engine, settings)
    return restore_points(known, _snapshots(settings))


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
    async with open_engine(settings, 1, needed=True) as engine:
        assert engine is not None  # noqa: S101 - one is needed
        prepared = _narrow(saga, step, engine, settings)
        known = await _known(prepared, engine, settings)
        with settings.open_journal(settings.journal_path, write=False) as journal:
            run = journal.resolve(to)
        (ref,) = prepared.refs
        label = f"{ref.project}/{ref.stack}"
        snapshots = _snapshots(settings)
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
            RestoreRequest(ref=ref, document=document, log_dir=""),
            Operation(id="preview", interrupt=asyncio.Event()),
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
    async with open_engine(settings, 1, needed=True) as engine:
        assert engine is not None  # noqa: S101 - one is needed
        prepared = _narrow(saga, plan.step, engine, settings)
        definition = prepared.definition
        await require_localstack(definition)
        facts = await engine.check(prepared.refs)
        with settings.open_journal(settings.journal_path, write=True) as journal:
            run_id = new_run_id(utc_now())
            with journal.acquire(definition.target, run_id, actor=actor()) as lease:
                refuse_unfinished(journal, definition)
                _snapshots(settings).need(plan.point.snapshot)
                await _refuse_changed(engine, prepared.refs[0], plan)
                created = ev.RunCreated(
                    saga=definition.saga,
                    stack=definition.stack,
                    kind="restore",
                    definition=definition.to_json(),
                    digest=definition.digest,
                    backend=facts.get("backend", ""),
                    origin=settings.origin,
                    snapshot=plan.point.snapshot,
                    moment=f"{plan.point.moment} {plan.point.run}",
                    versions={**settings.versions, **facts},
                )
                run = folded(journal, [journal.create_run(run_id, created, lease)])
                return await execute_run(run, journal, lease, prepared, settings)


async def _refuse_changed(engine: Engine, ref: StackRef, plan: Plan) -> None:
    if (await engine.inspect(ref)).fingerprint != plan.fingerprint:
        raise RefusedError(
            f"The stack {plan.label} was changed while its restore was looked at.",
            hint="Look again: nothing was done.",
        )


def _narrow(saga: Saga, name: str, engine: Engine | None, settings: Settings) -> BoundSaga:
    """The saga's one step as a definition of its own, which waits for no other."""
    aws = aws_target_of_last_run(saga, settings)
    prepared = bind_saga(saga, engine, settings.modules, aws)
    stacks = [step.name for step in prepared.definition.steps if step.kind == "stack"]
    if name not in stacks:
        raise DefinitionError(
            f'The saga {saga.name} has no stack step "{name}".',
            hint=f"It has: {', '.join(stacks) or 'none'}.",
        )
    step = prepared.definition.step(name)
    step = replace(step, dependencies=(), inputs={}, compensation="restore", pivot=False)
    return replace(
        prepared,
        definition=replace(prepared.definition, steps=(step,)),
        adapters={name: prepared.adapters[name]},
    )


async def _known(
    prepared: BoundSaga, engine: Engine | None, settings: Settings
) -> tuple[StackRun, ...]:
    assert engine is not None  # noqa: S101 - one is needed
    facts = await engine.check(prepared.refs)
    with settings.open_journal(settings.journal_path, write=False) as journal:
        target = prepared.definition.target
        return runs_over(journal, target, prepared.refs[0], facts.get("backend", ""))


def _snapshots(settings: Settings) -> Snapshots:
    return Snapshots(directory_of(settings.journal_path))
