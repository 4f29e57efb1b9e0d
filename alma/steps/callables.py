"""Calling a user's function: plain or async, with no argument or a context, with a deadline."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import os
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from types import FunctionType
from typing import Any, Final

from alma.core.events import Failure
from alma.core.operation import Context, Operation
from alma.core.validation import NotJsonError, check_json
from alma.errors import AlmaError, DefinitionError
from alma.steps.base import Outcome, StepContext


def takes_context(function: Callable[..., Any], where: str) -> bool:
    """Whether the function is called with a `Context` or with nothing.

    Raises DefinitionError for one that needs more than one argument.
    """
    if isinstance(function, FunctionType) and not vars(function):  # undecorated
        code = function.__code__
        if not code.co_argcount and not code.co_kwonlyargcount:
            return False  # as most are, and `inspect` is slow
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = [p for p in positional if p.default is p.empty]
    keywords = [p for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    if len(needed) > 1 or keywords:
        raise DefinitionError(
            f"{where} must take no argument or one context, but it needs "
            f"{', '.join(p.name for p in (*needed, *keywords))}."
        )
    return bool(needed) or any(p.name in ("context", "ctx") for p in positional)


async def call_function(
    function: Callable[..., Any], context: Callable[[], Context], operation: Operation
) -> Outcome:
    """Call it and say how it ended; a returned dict (or one value) becomes the outputs.

    `context` is only made for a function that asks for it. At the deadline an async function is
    cancelled. A plain one cannot be stopped: it is given `operation.grace` seconds more, and if it
    still runs then, the failure says so.
    """
    arguments = (context(),) if takes_context(function, "The function") else ()
    call, left = partial(function, *arguments), operation.timeout
    began = time.monotonic()
    try:
        if _is_async(function):
            returned = await _ended(asyncio.ensure_future(_awaited(call)), operation, left)
        else:
            returned = await _ended(in_thread(call), operation, left)
            if inspect.isawaitable(returned):  # of a lambda around an async function
                if left is not None:
                    left = max(left - (time.monotonic() - began), 0.0)
                work = asyncio.ensure_future(_awaited(lambda: returned))
                returned = await _ended(work, operation, left)
    except _FailedError as failed:
        return failed.outcome
    return _returned(function, returned)


async def call_compensation(call: StepContext, function: Callable[..., Any]) -> bool:
    """Call a step's own function before its undo; whether it succeeded, which is recorded."""

    async def run(operation: Operation) -> Outcome:
        context = partial(call.context, "compensation", await call.inputs())
        return await call_function(function, context, operation)

    return (await call.perform("compensation", run)).failure is None


async def ask_existed(function: Callable[..., Any], call: StepContext) -> tuple[str, ...]:
    """The ids that a step's `existed` gives; AlmaError when it does not."""
    inputs = await call.inputs()
    operation = Operation(
        id="existed", interrupt=asyncio.Event(), timeout=call.status.definition.timeout
    )
    outcome = await call_function(function, lambda: call.context("existed", inputs), operation)
    words = outcome.failure.message if outcome.failure else ""
    found = outcome.outputs.get("result", []) if outcome.outputs.keys() <= {"result"} else None
    ids = isinstance(found, list | tuple) and all(isinstance(one, str) and one for one in found)
    if not words and not ids:
        words = f"it returned {found!r}, not a list of ids"
    if words:
        raise AlmaError(
            f"existed= cannot tell what is there: {words}",
            hint="Return the ids or ARNs of what exists, a list without any where nothing does.",
        )
    return tuple(found or ())


def _is_async(function: Callable[..., Any]) -> bool:
    called = getattr(function, "__call__", None)  # noqa: B004 - an object with an async __call__
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)


async def _awaited(call: Callable[[], Awaitable[Any]]) -> Ended:
    """Whatever it raises is returned: a task that raised SystemExit would end the loop."""
    try:
        return await call(), None
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001 - carried over to whoever waits
        return None, error


class _FailedError(Exception):
    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.failure)
        self.outcome = outcome


async def _ended(work: asyncio.Future[Ended], operation: Operation, seconds: float | None) -> Any:
    """What it returned, if it does within so many seconds; else _FailedError says how it ended."""
    try:
        done, _ = await asyncio.wait((work,), timeout=seconds)
        if not done:
            raise _FailedError(await _overdue(work, operation))
        returned, error = work.result()
    except asyncio.CancelledError:
        if not work.cancelled():
            work.cancel()
            raise
        failure = Failure(kind="action", message="it was cancelled from inside")
        raise _FailedError(Outcome(failure=failure)) from None
    if error is not None:
        raise _FailedError(Outcome.raised(error)) from error
    return returned


async def _overdue(work: asyncio.Future[Ended], operation: Operation) -> Outcome:
    operation.on_signal("cancel", "deadline")
    if isinstance(work, asyncio.Task):
        work.cancel()
    done, _ = await asyncio.wait((work,), timeout=operation.grace)
    message = f"it did not end within {operation.timeout:g} s"
    if not done:
        message += f", nor {operation.grace:g} s after it was told to stop: it may still be at work"
    return Outcome(failure=Failure(kind="timeout", message=message))


def _returned(function: Callable[..., Any], value: Any) -> Outcome:
    if value is None:
        return Outcome()
    outputs = value if isinstance(value, Mapping) else {"result": value}
    try:
        return Outcome(outputs=check_json(outputs, "the result"))
    except NotJsonError as error:
        name = getattr(function, "__name__", "the function")
        return Outcome(
            failure=Failure(
                kind="action",
                message=f"{name} returned what cannot be an output: {error}",
                hint="Return JSON types, or nothing.",
            )
        )


# -- threads: kept for the next function, and never waited for ----------------------------------

Ended = tuple[Any, BaseException | None]
"""What a function returned, or what it raised: a future must not hold some of the latter."""

KEPT: Final = 5.0
"""Seconds that a thread waits for its next function before it ends."""


def in_thread(function: Callable[[], Any]) -> asyncio.Future[Ended]:
    """Call it in a thread, in a copy of the context of here; cancelling only stops listening.

    The threads are daemons: a function that hangs keeps no process from ending. Nor does it hold
    up another one, for a thread is free again only when its function has ended.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Ended] = loop.create_future()
    scope = contextvars.copy_context()

    def work() -> Callable[[], None]:
        ended: Ended
        try:
            ended = scope.run(function), None
        except BaseException as error:  # noqa: BLE001 - carried over to the loop
            ended = None, error

        def tell() -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody listens any more
                loop.call_soon_threadsafe(_settle, future, ended)

        return tell

    try:
        thread = _free.pop()
    except IndexError:
        thread = _Thread()
    thread.work.put(work)
    return future


def _settle(future: asyncio.Future[Ended], ended: Ended) -> None:
    if not future.done():
        future.set_result(ended)


class _Thread:
    def __init__(self) -> None:
        self.work: SimpleQueue[Callable[[], Callable[[], None]]] = SimpleQueue()
        threading.Thread(target=self._serve, name="alma-action", daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                tell = self.work.get(timeout=KEPT)()
            except Empty:
                try:
                    _free.remove(self)
                except ValueError:
                    continue  # It was just taken, so there is work.
                return
            _free.append(self)  # Before it tells: whoever hears of it finds this thread free.
            tell()
            del tell  # It holds what the function gave.


_free: Final[list[_Thread]] = []
os.register_at_fork(after_in_child=_free.clear)
