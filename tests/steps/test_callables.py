"""Calling a user's function: in which thread, in which context, and until when."""

from __future__ import annotations

import asyncio
import functools
import subprocess
import sys
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest

from alma.core.operation import Context, Operation
from alma.steps.base import Outcome
from alma.steps.callables import call_function, takes_context

FORKED = """
import asyncio, os, signal
from alma.steps.callables import in_thread

async def call():
    assert await in_thread(lambda: 1) == (1, None)

asyncio.run(call())
if not (child := os.fork()):
    signal.alarm(20)  # kills it, so that a hang is seen
    asyncio.run(call())
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
VARIABLE: ContextVar[str] = ContextVar("VARIABLE", default="unset")


async def call(function: Callable[..., Any], **options: Any) -> Outcome:
    operation = Operation(id="o", interrupt=asyncio.Event(), **options)
    return await call_function(function, _no_context, operation)


def _no_context() -> Context:
    raise AssertionError("nobody asked for one")


def none() -> None: ...
def any_number(*_arguments: int) -> None: ...
def optional_keyword(*, _option: int = 1) -> None: ...
def another_name(_ctx: Context) -> None: ...
def by_its_name(context: Context | None = None) -> None: ...
def other_optional(_count: int = 1) -> None: ...
@functools.wraps(another_name)
def decorated(*arguments: Context) -> None:
    another_name(*arguments)


@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        (none, False),
        (any_number, False),
        (optional_keyword, False),
        (other_optional, False),
        (another_name, True),
        (by_its_name, True),
        pytest.param(decorated, True, id="decorated"),
        pytest.param(functools.partial(another_name), True, id="partial"),
    ],
)
def test_who_asks_for_a_context(function: Callable[..., Any], *, wanted: bool) -> None:
    """Who needs an argument, or has one of that name."""
    assert takes_context(function, "The action") is wanted


async def test_a_thread_is_used_again_but_never_while_its_function_runs() -> None:
    """One that hangs past its deadline holds up nobody; it is free once it has ended."""
    first = (await call(threading.get_native_id)).outputs
    assert (await call(threading.get_native_id)).outputs == first
    let_go, hanging = threading.Event(), []

    def hang() -> None:
        hanging.append(threading.get_native_id())
        let_go.wait()

    failed = await call(hang, timeout=0.01, grace=0.01)
    assert failed.failure is not None
    assert "it may still be at work" in failed.failure.message
    assert hanging == [first["result"]]
    others = await asyncio.gather(*(call(threading.get_native_id) for _ in range(3)))
    assert first not in [other.outputs for other in others]
    let_go.set()
    async with asyncio.timeout(60):
        while first not in [other.outputs for other in others]:
            others = await asyncio.gather(*(call(threading.get_native_id) for _ in range(9)))


async def test_a_plain_function_sees_the_context_and_leaves_nothing_in_it() -> None:
    VARIABLE.set("outside")

    def change() -> str:
        before = VARIABLE.get()
        VARIABLE.set("inside")
        return before

    assert (await call(change)).outputs == {"result": "outside"}
    assert (await call(change)).outputs == {"result": "outside"}


async def test_what_a_plain_function_gives_to_be_awaited_has_the_same_deadline() -> None:
    """A lambda around an async function: it is cancelled, as that one would be."""
    ended: list[str] = []

    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    outcome = await call(lambda: slow(), timeout=0.05)  # noqa: PLW0108 - what is tested
    assert outcome.failure is not None
    assert outcome.failure.message == "it did not end within 0.05 s"
    assert ended == ["cancelled"]


@pytest.mark.parametrize("plain", [True, False])
async def test_cancelling_from_outside_is_no_failure_of_the_function(*, plain: bool) -> None:
    let_go = threading.Event()
    function = let_go.wait if plain else asyncio.Event().wait
    task = asyncio.create_task(call(function))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    let_go.set()


async def test_an_async_function_that_cancels_itself_has_failed() -> None:
    async def act() -> None:
        raise asyncio.CancelledError

    outcome = await call(act)
    assert outcome.failure is not None
    assert outcome.failure.message == "it was cancelled from inside"


def test_a_forked_process_starts_threads_of_its_own() -> None:
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORKED], check=True, timeout=300)
