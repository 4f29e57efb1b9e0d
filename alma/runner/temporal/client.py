"""Runs that are driven in Temporal, for who starts them, and looks on as if they were here."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec.structs import replace
from temporalio.service import RPCError

from alma.core import events as ev
from alma.core.result import Result, SagaFailed, SagaInterrupted, make_result
from alma.core.run import RunStatus, SagaState
from alma.errors import AlmaError, DefinitionError, RefusedError
from alma.journal.journal import utc_now
from alma.journal.known import known_outputs
from alma.journal.reading import newest_run
from alma.runner.again import refuse_other_steps, require_own_parameters
from alma.runner.binding import define
from alma.runner.hosts import declare_gone
from alma.runner.lease import served_elsewhere
from alma.runner.lease import take as lease_of
from alma.runner.leased_run import result_or_raise, resume_hint
from alma.runner.settings import Settings, new_run_id
from alma.runner.temporal.asked import Asked, asked_with, forget, keep
from alma.runner.temporal.connection import connect
from alma.runner.temporal.following import Followed
from alma.runner.temporal.looking_on import look_on
from alma.runner.temporal.orders import Order, workflow_id
from alma.runner.temporal.starting import start
from alma.saga.saga import Saga

if TYPE_CHECKING:
    from temporalio.client import Client


class UnbegunError(AlmaError):
    """Who waited for a run went away before a worker had begun it."""

    exit_code = 8


async def begin_there(saga: Saga, settings: Settings) -> Result:
    """A new run, or first the one that was interrupted, as `up` does here; ends as that does."""
    _refuse_what_stays_here(settings)
    target = saga.target
    with settings.open(write=False) as reader:
        last = newest_run(reader, target)
    if last is not None and not last.state.is_final:
        if last.workflow is None:
            raise RefusedError(
                f"Run {last.run} of {target} was interrupted ({last.state.name}) and is not over.",
                hint=resume_hint(last),
            )
        try:
            return await take_up(last, None, settings, accept_changes=False, saga=saga)
        except SagaFailed as failed:
            clean = failed.result.state is SagaState.COMPENSATED
            if last.direction == "forward" or not clean:
                raise
    order = Order(
        run=new_run_id(utc_now()),
        target=target,
        saga=saga.name,
        stack=saga.stack,
        how="up",
        heartbeat=settings.heartbeat,
    )
    return await _drive(order, asked_with(settings, saga.parameters, saga.overrides), settings)


async def take_up(
    run: RunStatus,
    direction: ev.Direction | None,
    settings: Settings,
    *,
    accept_changes: bool,
    saga: Saga | None = None,
) -> Result:
    """Have a run go on that Temporal has driven before, where that was if nothing else is said.

    A `saga` must be what it was begun with.
    """
    _refuse_what_stays_here(settings)
    known = run.workflow
    assert known is not None  # noqa: S101 - for these alone
    settings = replace(
        settings,
        temporal=settings.temporal or known.address,
        namespace=settings.namespace or known.namespace,
    )
    order = Order(
        run=run.run,
        target=run.definition.target,
        saga=run.definition.saga,
        stack=run.definition.stack,
        how="rollback" if direction == "back" else "resume",
        heartbeat=settings.heartbeat,
        accept_changes=accept_changes,
    )

    def same() -> None:
        if saga is not None:
            refuse_other_steps(run, define(saga, None), settings)
            with settings.open(write=False) as reader:
                require_own_parameters(reader, run, saga)

    return await _drive(order, asked_with(settings, {}, {}), settings, run, same)


def _refuse_what_stays_here(settings: Settings) -> None:
    said = {
        "--localstack": settings.aws is not None,
        "--repair": bool(settings.repairs),
        "--skip-resource": bool(settings.skip),
    }
    for what, is_so in said.items():
        if is_so:
            raise DefinitionError(
                f"A run that Temporal drives takes no {what}: its workers make it as the saga has "
                "it.",
                hint="Say it in the saga, or run it here, without --temporal and ALMA_TEMPORAL.",
            )


async def _drive(
    order: Order,
    asked: Asked,
    settings: Settings,
    before: RunStatus | None = None,
    same: Callable[[], None] = lambda: None,
) -> Result:
    client, place = await connect(settings.temporal, settings.namespace, settings)
    if before is not None:
        await _refuse_running(client, order, before)
        same()
        _keep_word(before, settings)
    with settings.open(write=True) as journal:
        digest = keep(journal, order.target, asked)
        try:
            handle = await start(client, dataclasses.replace(order, asked=digest), place)
        except AlmaError:
            forget(journal, digest)
            raise
    with settings.open(write=False) as reader:
        followed = Followed(reader, order.run, before, settings.reporter)
        result = await look_on(handle, followed, settings)
        known = known_outputs(reader, followed.run).outputs
    run = followed.run
    if run.state.is_final:
        with suppress(AlmaError), settings.open(write=True) as journal:
            forget(journal, digest)
    if result == "detached" and not followed.begun:
        raise UnbegunError(
            f"No worker has begun run {order.run} of {order.target}: its workflow waits in "
            "Temporal, and was asked to stop.",
            hint="A worker that takes it undoes it at once. `temporal workflow terminate -w "
            f"{workflow_id(order.target)}` takes it away.",
        )
    if result == "detached":
        raise SagaInterrupted(
            f'Saga "{run.definition.saga}" (run {run.run}) goes on in Temporal.',
            make_result(run, interrupted=True, live=known),
            hint=f"`alma-pulumi status {run.word}` tells how it stands.",
        )
    return result_or_raise(
        run, make_result(run, interrupted=not run.state.is_final, live=known), {}
    )


async def _refuse_running(client: Client, order: Order, run: RunStatus) -> None:
    """Said before an operator's word is written, which takes the lease."""
    try:
        found = await client.get_workflow_handle(workflow_id(order.target)).describe()
    except RPCError:
        return
    if found.status is not None and found.status.name == "RUNNING":
        raise served_elsewhere(run, [], runs=True)


def _keep_word(run: RunStatus, settings: Settings) -> None:
    if not settings.host_is_gone:
        return
    with settings.open(write=True) as journal:
        words = declare_gone(run, settings.host_is_gone, shared=journal.is_shared)
        if not words:
            return
        with lease_of(journal, run.definition.target, run.run, over=True) as lease:
            for word in words:
                journal.append(run.run, word, lease)
