"""The language host of an inline program: secret config in, known secrets out.

The engine is never told the secret values, so that no process but this one knows them. What
goes wrong is told as the SDK's own host tells it, without them.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import Any

import cloudpickle
import grpc
from pulumi import Output, RunError, log
from pulumi.runtime import get_root_resource, reset_options, run_in_stack, set_all_config
from pulumi.runtime.proto import language_pb2

from alma.core.redaction import Redactor
from alma.errors import AlmaError
from alma.pulumi.automation import sdk_faults
from alma.pulumi.automation.host import Host
from alma.pulumi.failures import condense


@dataclass
class ProgramEnd:
    """What a program leaves of which no state tells: outputs that are null, and odd things."""

    nulls: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class ProgramHost(Host):
    """Runs the program for the engine, with these secret config values besides."""

    def __init__(
        self,
        program: Callable[[], Any],
        secrets: Mapping[str, str],
        redact: Redactor,
        end: ProgramEnd | None = None,
    ) -> None:
        self._program = self._noting(guarded(program))
        self._secrets = secrets
        self._redact = redact
        self._end = ProgramEnd() if end is None else end
        self._returned: Any = None

    def play(self, request: Any) -> Any:
        """Run it, in a context of its own, as the SDK keeps its settings there."""
        return copy_context().run(self._run, request)

    def _run(self, request: Any) -> Any:
        # Of an awaitable that fails unobserved: the failure itself is told below.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        reset_options(
            project=request.project,
            stack=request.stack,
            organization=request.organization or "organization",
            parallel=request.parallel,
            engine_address=request.args[0] if request.args else "",
            monitor_address=request.monitor_address,
            preview=request.dryRun,
        )
        set_all_config(
            {**request.config, **self._secrets}, [*request.configSecretKeys, *self._secrets]
        )
        try:
            _finish(self._in_stack(), threads=max(request.parallel, 1) * 4)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNAVAILABLE:
                log.debug("Resource monitor has terminated, shutting down.")
                return language_pb2.RunResponse()
            return self._failed(f"RPC error: {error.details()}")
        except RunError as error:
            return self._failed(str(error))
        except BaseException as error:  # noqa: BLE001 - whatever it was, the engine is told
            said = f"python inline source runtime error: {error}\n{traceback.format_exc()}"
            return self._failed(said)
        return language_pb2.RunResponse()

    async def _in_stack(self) -> None:
        await run_in_stack(self._program)
        # The SDK sends none of these, so the state does not have them.
        exported = getattr(get_root_resource(), "outputs", {})
        for name, value in exported.items():
            if isinstance(value, Output):
                value = await value.future() if await value.is_known() else ...  # noqa: PLW2901
            if value is None:
                self._end.nulls.append(name)
        if not exported and isinstance(self._returned, Mapping) and self._returned:
            names = ", ".join(map(str, self._returned))
            first = next(iter(self._returned))
            self._end.warnings.append(
                f"the program returned a dict ({names}) and exported nothing, so it has no "
                f'outputs; export them: pulumi.export("{first}", ...)'
            )

    def _noting(self, program: Callable[[], Any]) -> Callable[[], Any]:
        """The program, with what it returns noted: to Pulumi that is nothing."""

        async def finish(result: Any) -> None:
            self._returned = await result

        def run() -> Any:
            self._returned = result = program()
            return finish(result) if isawaitable(result) else result

        return run

    def _failed(self, message: str) -> Any:
        message = self._redact(message)
        log.error(message)
        return language_pb2.RunResponse(error=message)


def _finish(work: Any, *, threads: int) -> None:
    """Run the coroutine on a loop of its own, and leave nothing of it behind."""
    loop = asyncio.new_event_loop()
    loop.set_default_executor(ThreadPoolExecutor(threads))
    loop.set_exception_handler(_stop_when_the_engine_is_gone)
    try:
        loop.run_until_complete(work)
    except BaseException:
        # What is cut off may fail in turn (the SDK then resolves outputs that are cancelled), and
        # that is not why the program has failed.
        _cut_off(loop, BaseException)
        raise
    else:
        _cut_off(loop, asyncio.CancelledError)
    finally:
        loop.close()
        sys.stdout.flush()
        sys.stderr.flush()


def _cut_off(loop: asyncio.AbstractEventLoop, expected: type[BaseException]) -> None:
    """Cancel the tasks that are left; raises what they raise, but for what is expected."""
    for task in asyncio.all_tasks(loop):
        task.cancel()
        with suppress(expected):
            loop.run_until_complete(task)


def _stop_when_the_engine_is_gone(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if isinstance(context.get("exception"), grpc.RpcError):
        loop.stop()
    else:
        loop.default_exception_handler(context)


def load(program: bytes) -> Callable[[], Any]:
    """The program that the runner has sent; raises `AlmaError` where it cannot be had here."""
    sdk_faults.forget_classes()
    try:
        loaded: Callable[[], Any] = cloudpickle.loads(program)
    except Exception as error:
        traceback.print_exc()
        raise AlmaError(
            f"The program cannot be loaded in a worker process: {condense(traceback.format_exc())}",
            hint="Modules that it uses must be importable there: install them, or set PYTHONPATH.",
        ) from error
    return loaded


def guarded(program: Callable[[], Any]) -> Callable[[], Any]:
    """The program, with what would end a process turned into an ordinary failure."""

    async def finish(result: Any) -> Any:
        try:
            return await result
        except BaseException as error:
            raise _tamed(error) from error

    def run() -> Any:
        try:
            result = program()
        except BaseException as error:
            raise _tamed(error) from error
        return finish(result) if isawaitable(result) else result

    return run


def _tamed(error: BaseException) -> BaseException:
    if isinstance(error, Exception | asyncio.CancelledError):
        return error
    if isinstance(error, SystemExit):
        return RunError(f"The program called sys.exit({error.code!r}).")
    return RunError(f"The program raised {type(error).__name__}: {error}")
