"""The plugin's process: serves a provider to the engine, tells its port, ends when nobody needs it.

What differs from `pulumi.provider.experimental.server.main` (3.259): an error reaches the user as
its own sentence, a resource that is there but not right gets into the state, the provider sees the
whole request (the SDK drops `old_inputs`), and a call under way is finished before the end.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import grpc
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.server import ProviderServicer
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc, status_pb2

from tests.providers.values import FailureError

if TYPE_CHECKING:
    from google.protobuf.message import Message
    from pulumi.provider.experimental.provider import Provider

GRACE = 60.0
"""Seconds in which a call that is under way may finish once the engine wants the plugin to end."""

THREADS = 64
"""Calls at once: more than the engine makes for a stack of the tests."""

REQUEST: ContextVar[Any] = ContextVar("request")
"""The request of the call that is being served, as the engine sent it."""


class CallError(FailureError):
    """A call that failed. With an `id`, the resource is there, with these properties."""

    def __init__(
        self, text: str, id_: str = "", properties: dict[str, PropertyValue] | None = None
    ) -> None:
        super().__init__(text)
        self.id, self.properties = id_, properties or {}


class _Servicer(ProviderServicer):
    """The SDK's servicer, with the errors of a call told as they are."""


def _clear(name: str) -> Callable[..., Awaitable[Message]]:
    async def method(self: _Servicer, request: Any, context: Any) -> Message:
        REQUEST.set(request)
        try:
            answer: Message = await getattr(ProviderServicer, name)(self, request, context)
            return answer
        except Exception as raised:
            # SDKs from 3.272 on raise another one in its place, with a traceback in its words.
            error = raised if isinstance(raised, CallError) else raised.__context__
            if not isinstance(error, CallError):
                raise
            if error.id:
                context.set_trailing_metadata((("grpc-status-details-bin", _partial(error)),))
            await context.abort(grpc.StatusCode.UNKNOWN, str(error))
            raise

    return method


for _name in (
    *("CheckConfig", "Configure", "Invoke", "Check", "Diff"),
    *("Create", "Read", "Update", "Delete"),
):
    setattr(_Servicer, _name, _clear(_name))


def _partial(error: CallError) -> bytes:
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error))
    status.details.add().Pack(
        provider_pb2.ErrorResourceInitFailed(
            id=error.id,
            properties=PropertyValue.marshal_map(error.properties),
            reasons=[str(error)],
        )
    )
    encoded: bytes = status.SerializeToString()
    return encoded


def serve(provider: Provider, version: str) -> None:
    """Be a plugin of this version until SIGINT, SIGTERM or the engine's end. Does not return."""
    engine = next((one for one in sys.argv[1:] if not one.startswith("-")), "")
    asyncio.run(_serve(_Servicer(sys.argv[1:], version, provider, engine)))
    # The interpreter's own end takes as long as a small call; there is nothing left to do in it.
    os._exit(0)


async def _serve(servicer: _Servicer) -> None:
    server = grpc.aio.server(options=_GRPC_CHANNEL_OPTIONS)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    stop = asyncio.Event()
    # Calls wait for the service most of their time, so that a thread for each processor is too few.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
    for one in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(one, stop.set)
    await server.start()
    print(port, flush=True)  # noqa: T201 - how a plugin tells the engine its port
    parent = os.getppid()
    while not stop.is_set() and os.getppid() == parent:
        try:
            await asyncio.wait_for(stop.wait(), timeout=1.0)
        except TimeoutError:
            continue
    await server.stop(GRACE)
