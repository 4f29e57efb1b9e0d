"""The language server for inline programs: secret config in, known secrets out. Imports pulumi."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from inspect import isawaitable
from typing import Any

from pulumi import RunError
from pulumi.automation import _server, _stack
from pulumi.automation._server import LanguageServer

from alma.redact import Redactor


def serve_with(injected: Mapping[str, str], redact: Redactor) -> None:
    """Make the Automation API serve programs with these secret config values, until called again.

    The values never leave this process: they are put into the request that the engine sends, as
    secret keys, so that `Config.require` and `require_secret` work. `Stack.up` takes the server's
    class from its module and has no parameter for it, hence the assignment; it is ours alone, in
    a worker that serves one operation at a time.
    """

    class Server(LanguageServer):
        def __init__(self, program: Any) -> None:
            super().__init__(guarded(program))

        def Run(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
            for key, text in injected.items():
                request.config[key] = text
                request.configSecretKeys.append(key)
            result = super().Run(request, context)  # type: ignore[no-untyped-call]
            if result.error:
                result.error = redact(result.error)
            return result

    _stack.LanguageServer = Server  # type: ignore[misc]
    _server.log = _RedactingLog(redact)  # type: ignore[assignment]


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
