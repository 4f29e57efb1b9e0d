"""Runs that are driven in Temporal, for who starts them, and looks on as if they were here."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Final

from msgspec.structs import replace
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import ActivityError, ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from alma.core import events as ev
from alma.core.result import Result, SagaInterrupted, make_result
from alma.core.run import RunStatus
from alma.errors import AlmaError, DefinitionError, RefusedError, RunnerBusyError
from alma.journal.journal import utc_now
from alma.journal.known import known_outputs
from alma.journal.reading import newest_run
from alma.runner.cancel import stop_served
from alma.runner.hosts import declare_gone
from alma.runner.lease import served_elsewhere
from alma.runner.lease import take as lease_of
from alma.runner.leased_run import result_or_raise, resume_hint
from alma.runner.settings import Settings, new_run_id
from alma.runner.signals import catch_signals
from alma.runner.temporal.connection import connect
from alma.runner.temporal.following import Followed
from alma.runner.temporal.orders import (
    REFUSED,
    SAGA,
    STACK,
    STATE,
    WORKFLOW,
    OpenText,
    Order,
    queue_of,
    workflow_id,
)
from alma.saga.saga import Saga
from alma.system.processes import PLACE

LOOK: Final = 0.2
"""Seconds between two looks at the journal."""
_NOBODY: Final = 10.0
"""Seconds after which is said that nobody has begun."""
_NO_ANSWER: Final = 2.0
"""Seconds until a server that does not answer is asked again."""
_FOR_GOOD: Final = (
    RPCStatusCode.NOT_FOUND,
    RPCStatusCode.PERMISSION_DENIED,
    RPCStatusCode.UNAUTHENTICATED,
)
"""Answers that do not change by asking again."""


class UnbegunError(AlmaError):
    """Who waited for a run went away before a worker had begun it."""

    exit_code = 8


async def begin_there(saga: Saga, settings: Settings) -> Result:
    """A new run; or the one that was interrupted, if that goes forward. Ends as `up` does."""
    _refuse_what_stays_here(saga, settings)
    target = saga.target
    with settings.open(write=False) as reader:
        last = newest_run(reader, target)
    if last is not None and not last.state.is_final:
        if last.served is not None or (last.direction == "forward" and last.workflow is not None):
            return await take_up(last, None, settings, accept_changes=False)
        raise RefusedError(
            f"Run {last.run} of {target} was interrupted ({last.state.name}) and is not over.",
            hint=resume_hint(last),
        )
    order = Order(
        run=new_run_id(utc_now()),
        target=target,
        saga=saga.name,
        stack=saga.stack,
        how="up",
        heartbeat=settings.heartbeat,
    )
    return await _drive(order, settings)


async def take_up(
    run: RunStatus, direction: ev.Direction | None, settings: Settings, *, accept_changes: bool
) -> Result:
    """Have a run go on that Temporal has driven before, where that was if nothing else is said."""
    if settings.reason:
        raise DefinitionError(
            "A run that Temporal drives is taken up without a reason of one's own: that would pass "
            "through Temporal.",
            hint="Leave --reason out. With --host-is-gone it is kept in the journal alone.",
        )
    known = run.workflow
    assert known is not None  # noqa: S101 - for these alone
    settings = replace(
        settings,
        temporal=settings.temporal or known.address,
        namespace=settings.namespace or known.namespace,
    )
    onward = "up" if settings.ttl is not None else "resume"  # which says its ttl anew, or does not
    order = Order(
        run=run.run,
        target=run.definition.target,
        saga=run.definition.saga,
        stack=run.definition.stack,
        how="rollback" if direction == "back" else onward,
        heartbeat=settings.heartbeat,
        accept_changes=accept_changes,
    )
    return await _drive(order, settings, run)


def _refuse_what_stays_here(saga: Saga, settings: Settings) -> None:
    """A worker has its sagas as they are called where it was started."""
    said = {
        "selection of steps": not settings.selection.is_all,
        "--changed": settings.changed,
        "--localstack": settings.aws is not None,
        "--accept-backend": settings.accept_backend,
        "--ttl": settings.ttl != saga.ttl,
        "--accept-existing": settings.accept_existing,
        "--repair": bool(settings.repairs),
        "parameters": bool(saga.parameters),
    }
    for what, is_so in said.items():
        if is_so:
            raise DefinitionError(
                f"A run that Temporal drives takes no {what}: its workers have the saga as they "
                "were started with it.",
                hint="Start the workers with a TARGET that says so, or run it here.",
            )


async def _drive(order: Order, settings: Settings, before: RunStatus | None = None) -> Result:
    with settings.open(write=True) as journal:
        journal.require_key()
        place = "" if journal.is_shared else PLACE
    client = await connect(settings.temporal, settings.namespace, settings)
    if before is not None:
        await _refuse_running(client, order, before)
        _keep_word(before, settings)
    handle = await _start(client, order, place)
    with settings.open(write=False) as reader:
        followed = Followed(reader, order.run, before, settings.reporter)
        result = await _look_on(handle, followed, settings)
        known = known_outputs(reader, followed.run).outputs
    run = followed.run
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
        raise served_elsewhere(run, [])


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


async def _start(client: Client, order: Order, place: str) -> WorkflowHandle[object, str]:
    keys = {SAGA: order.saga, STACK: order.stack, STATE: "pending"}
    attributes = TypedSearchAttributes(
        [
            SearchAttributePair(SearchAttributeKey.for_keyword(name), value)
            for name, value in keys.items()
        ]
    )
    for searchable in (True, False):
        try:
            return await client.start_workflow(
                WORKFLOW,
                dataclasses.replace(order, place=place, searchable=searchable),
                id=workflow_id(order.target),
                task_queue=queue_of(order.target, place),
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                memo={"run": OpenText(order.run)},
                search_attributes=attributes if searchable else None,
                static_summary=OpenText(f"{order.how} {order.target}, run {order.run}"),
                result_type=str,
            )
        except WorkflowAlreadyStartedError as error:
            raise RunnerBusyError(
                f"Temporal drives {order.target} already: workflow {workflow_id(order.target)} in "
                f"{client.namespace}.",
                hint="Wait for it, or see `alma-pulumi status`.",
            ) from error
        except RPCError as error:
            if searchable and "search attribute" in error.message.lower():
                continue  # the namespace has none of alma's, and it is not for us to add them
            raise AlmaError(f"Temporal does not start the workflow: {error.message}.") from error
    raise AssertionError("it was started, or refused")


async def _look_on(
    handle: WorkflowHandle[object, str], followed: Followed, settings: Settings
) -> str:
    """Until the workflow has ended; a first signal asks it to stop, a second one looks away."""
    signals: list[str] = []
    ended = asyncio.ensure_future(handle.result())
    loop = asyncio.get_running_loop()
    nobody, told, stopped, silent = loop.time() + _NOBODY, False, False, False
    with catch_signals(signals.append, handle=settings.handle_signals):
        while not ended.done():
            await asyncio.wait({ended}, timeout=LOOK)
            followed.look()
            if not (followed.begun or told) and loop.time() > nobody:
                told = True
                followed.say("no worker has begun yet: start one with `alma-pulumi worker`")
            if signals and not stopped:
                stopped = True
                await _ask_to_stop(handle, followed, settings, signals[0])
            if len(signals) > 1:
                ended.cancel()
                return "detached"
            if _is_silent(ended) and not followed.over:
                if not silent:
                    silent = True
                    followed.say("Temporal does not answer: the journal is looked at meanwhile")
                ended = asyncio.ensure_future(_later(handle))
    followed.look()
    try:
        return await ended
    except (WorkflowFailureError, RPCError) as error:
        if followed.over:
            return followed.run.state.value
        raise _why(error, handle.id, followed) from error


async def _ask_to_stop(
    handle: WorkflowHandle[object, str], followed: Followed, settings: Settings, signal: str
) -> None:
    """By the journal; by Temporal where no worker has written there yet."""
    if followed.moved:
        stop_served(followed.run, settings, signal)
        return
    try:
        await handle.cancel()
    except RPCError as error:
        followed.say(f"Temporal was not asked to stop it: {error.message}")


def _is_silent(ended: asyncio.Future[str]) -> bool:
    """Whether it was not told how the workflow stands, and may be yet."""
    error = ended.exception() if ended.done() else None
    return isinstance(error, RPCError) and error.status not in _FOR_GOOD


async def _later(handle: WorkflowHandle[object, str]) -> str:
    await asyncio.sleep(_NO_ANSWER)
    return await handle.result()


def _why(error: WorkflowFailureError | RPCError, workflow: str, followed: Followed) -> AlmaError:
    cause: BaseException | None = error.cause if isinstance(error, WorkflowFailureError) else error
    while isinstance(cause, ActivityError) and cause.cause is not None:
        cause = cause.cause
    kind = cause.type if isinstance(cause, ApplicationError) else type(cause).__name__
    refused = isinstance(cause, ApplicationError) and kind == REFUSED
    words = f"Workflow {workflow} has ended ({kind}) before run {followed.name} was over."
    if isinstance(error, RPCError):
        words = f"Temporal tells nothing of workflow {workflow}: {error.message}."
    elif refused:
        words = f"A worker has refused the run {followed.name}: its own words are in its output."
    if followed.moved and any(followed.run.started()):
        # It is half way: nobody is to take that for a run of which nothing was begun.
        result = make_result(followed.run, interrupted=True)
        return SagaInterrupted(words, result, hint=resume_hint(followed.run))
    if not refused:
        return RefusedError(
            words,
            hint=f"`alma-pulumi status {followed.name}` tells how it stands, and `alma-pulumi "
            f"resume {followed.name}` has it go on.",
        )
    found = RefusedError(words, hint="Nothing was begun.")
    code = cause.details[0] if isinstance(cause, ApplicationError) and cause.details else None
    if isinstance(code, int):
        found.exit_code = code
    return found
