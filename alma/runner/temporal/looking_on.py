"""Looking on at a run that Temporal drives, until its workflow has ended."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from alma.core.result import SagaInterrupted, make_result
from alma.errors import AlmaError, RefusedError
from alma.runner.cancel import stop_served
from alma.runner.leased_run import resume_hint
from alma.runner.settings import Settings
from alma.runner.signals import catch_signals
from alma.runner.temporal.asked import take_words
from alma.runner.temporal.following import Followed
from alma.runner.temporal.orders import REFUSED

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


async def look_on(
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
        raise _why(error, handle.id, followed, settings) from error


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
    else:
        followed.say(f"{signal}: a worker that takes it only undoes it; once more to look away")


def _is_silent(ended: asyncio.Future[str]) -> bool:
    """Whether it was not told how the workflow stands, and may be yet."""
    error = ended.exception() if ended.done() else None
    return isinstance(error, RPCError) and error.status not in _FOR_GOOD


async def _later(handle: WorkflowHandle[object, str]) -> str:
    await asyncio.sleep(_NO_ANSWER)
    return await handle.result()


def _why(
    error: WorkflowFailureError | RPCError, workflow: str, followed: Followed, settings: Settings
) -> AlmaError:
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
    code, digest = _details(cause)
    hint = "Nothing was begun."
    if followed.begun:  # before it was taken up, or it was just created: it is to be seen to
        hint = f"It has gone no further. {resume_hint(followed.run)}"
    with suppress(AlmaError), settings.open(write=True) as journal:
        target = workflow.partition("/")[2]
        words = take_words(journal, target, digest)
        hint = f"A worker has refused it. {hint}"
    found = RefusedError(words, hint=hint)
    found.exit_code = code
    return found


def _details(cause: BaseException | None) -> tuple[int, str]:
    """The exit code of a refusal, and the digest of its words."""
    told = [*cause.details] if isinstance(cause, ApplicationError) else []
    code = next((one for one in told if isinstance(one, int)), RefusedError.exit_code)
    return code, next((one for one in told if isinstance(one, str)), "")
