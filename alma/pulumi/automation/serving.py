"""The language host of an operation: this process, over gRPC, for as long as the CLI runs.

Imports pulumi. It is how the Automation API runs an inline program: the CLI's engine connects to
`--client`, and asks it to run the program and to register what it declares.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import grpc
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import language_pb2_grpc

from alma.pulumi.automation import sdk_faults as dynamic
from alma.pulumi.automation.program import load, program_host
from alma.pulumi.automation.replay import replay_host

if TYPE_CHECKING:
    from pulumi.automation._server import LanguageServer

    from alma.core.redaction import Redactor
    from alma.pulumi.messages import Task

dynamic.mend()

# gRPC shares what it knows of an address among all channels of a process. Where a call to an engine
# that has ended still hangs on, in a thread of the program's for one, the next engine that the
# system gives the same port would be taken for unreachable, seconds long: the SDK then says that
# the resource monitor has terminated. So each channel connects by itself, the SDK's own too: it
# gives this list to all that it opens.
_GRPC_CHANNEL_OPTIONS.append(("grpc.use_local_subchannel_pool", 1))

_THREADS = 4
"""As in `Stack.up` of the Automation API."""


def host_of(task: Task, redact: Redactor) -> LanguageServer:
    """What serves the task's program, or what a restore registers; raises `AlmaError`."""
    if task.replay is not None:
        return replay_host(task.replay)
    assert task.program is not None  # noqa: S101 - there is nothing else to serve
    return program_host(load(task.program), task.injected, redact)


@contextmanager
def serving(host: Any) -> Iterator[str]:
    """Serve it, at the address that this gives."""
    pool = futures.ThreadPoolExecutor(_THREADS)
    server = grpc.server(pool, options=_GRPC_CHANNEL_OPTIONS)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0)
