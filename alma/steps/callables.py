"""Calling a user's function: plain or async, with no argument or a context, with a deadline."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from alma.context import Context
from alma.engine.protocol import Watch
from alma.errors import DefinitionError
from alma.events import Failure
from alma.outputs import NotJsonError, check_json
from alma.steps.base import Outcome


def takes_context(function: Callable[..., Any], where: str) -> bool:
    """Whether the function is called with a `Context` or with nothing.

    Raises DefinitionError for one that needs more than one argument.
    """
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


async def call_function(function: Callable[..., Any], context: Context, watch: Watch) -> Outcome:
    """Call it and say how it ended; a returned dict (or one value) becomes the outputs.

    At the deadline an async function is cancelled. A plain one cannot be stopped: it is given
    `watch.grace` seconds more, and if it still runs then, the failure says so.
    """
    task = asyncio.ensure_future(_run(function, context))
    try:
        done, _ = await asyncio.wait({task}, timeout=watch.timeout)
        if not done:
            return await _overdue(function, task, watch)
        returned = task.result()
    except asyncio.CancelledError:
        task.cancel()
        if not task.done() or not task.cancelled():
            raise
        return Outcome(failure=Failure(kind="action", message="it was cancelled from inside"))
    except _Wrapped as wrapped:
        return _raised(wrapped.error)
    return _returned(function, returned)


async def _run(function: Callable[..., Any], context: Context) -> Any:
    """Whatever it raises comes out wrapped: a task that raised SystemExit would end the loop."""
    arguments = (context,) if takes_context(function, "The function") else ()
    try:
        if _is_async(function):
            return await function(*arguments)
        return await _in_thread(function, arguments)
    except (_Wrapped, asyncio.CancelledError):
        raise
    except BaseException as error:
        raise _Wrapped(error) from error


def _is_async(function: Callable[..., Any]) -> bool:
    called = getattr(function, "__call__", None)  # noqa: B004 - an object with an async __call__
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)


async def _in_thread(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """In a daemon thread of its own: one that hangs must not keep the process from ending."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()
    scope = contextvars.copy_context()

    def settle(result: Any, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(_Wrapped(error))

    def run() -> None:
        try:
            outcome: tuple[Any, BaseException | None] = (scope.run(function, *arguments), None)
        except BaseException as error:  # noqa: BLE001 - carried over to the loop
            outcome = (None, error)
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, *outcome)

    threading.Thread(target=run, name="alma-action", daemon=True).start()
    result = await asyncio.shield(future)
    return await result if inspect.isawaitable(result) else result


class _Wrapped(Exception):  # noqa: N818 - carries what a Future refuses to hold, such as SystemExit
    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error


async def _overdue(
    function: Callable[..., Any], task: asyncio.Future[Any], watch: Watch
) -> Outcome:
    watch.on_signal("cancel", "deadline")
    if _is_async(function):
        task.cancel()
    done, _ = await asyncio.wait({task}, timeout=watch.grace)
    message = f"it did not end within {watch.timeout:g} s"
    if not done:
        message += f", nor {watch.grace:g} s after it was told to stop: it may still be at work"
    elif not task.cancelled():
        task.exception()
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


def _raised(error: BaseException) -> Outcome:
    words = str(error).strip() or "no message"
    return Outcome(
        failure=Failure(kind="action", message=f"{type(error).__name__}: {words}"),
        trace="".join(traceback.format_exception(error)),
        cause=error,
    )
