"""The language host of an inline program: secret config in, known secrets out. Imports pulumi."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Mapping
from inspect import isawaitable
from typing import Any

import cloudpickle
from pulumi import RunError
from pulumi.automation import _server
from pulumi.automation._server import LanguageServer

from alma.core.redaction import Redactor
from alma.errors import AlmaError
from alma.pulumi.failures import condense


def program_host(
    program: Callable[[], Any], injected: Mapping[str, str], redact: Redactor
) -> LanguageServer:
    """What runs the program for the engine, with these secret config values.

    The values never leave this process: they are put into the request that the engine sends, as
    secret keys, so that `Config.require` and `require_secret` work.
    """

    class Host(LanguageServer):
        def Run(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
            for key, text in injected.items():
                request.config[key] = text
                request.configSecretKeys.append(key)
            result = super().Run(request, context)  # type: ignore[no-untyped-call]
            if result.error:
                result.error = redact(result.error)
            return result

    # Its module says what went wrong, too; a worker serves one operation at a time.
    _server.log = _RedactingLog(redact)  # type: ignore[assignment]
    return Host(guarded(program))


def load(program: bytes) -> Callable[[], Any]:
    """The program that the runner has sent; raises `AlmaError` where it cannot be had here."""
    # It hands out a class that it has loaded before, with whatever the last operation left in it.
    trackers = vars(cloudpickle.cloudpickle)
    for name in ("_DYNAMIC_CLASS_TRACKER_BY_ID", "_DYNAMIC_CLASS_TRACKER_BY_CLASS"):
        trackers.get(name, {}).clear()
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


class _RedactingLog:
    """`pulumi.log` as the server uses it, with known secrets taken out of errors."""

    def __init__(self, redact: Redactor) -> None:
        self._redact = redact

    def error(self, message: str, *args: Any, **kwargs: Any) -> None:
        from pulumi import log

        log.error(self._redact(message), *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        from pulumi import log

        return getattr(log, name)
