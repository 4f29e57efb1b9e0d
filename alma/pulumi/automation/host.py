"""A language host: whom the CLI's engine asks to run a program, for as long as the CLI runs.

It is how the Automation API runs an inline program: the engine connects to `--client`, and asks
it to run the program and to register what it declares. The SDK's own host is a port that whoever
is logged in finds in the CLI's arguments, and that gives a program's secrets to any monitor that
asks it to run; this one is a socket in a directory that is open to nobody else. And it runs it
for the CLI alone that was started for it: nothing in a request of the engine's can hold a secret
of alma's, but the monitor that it names must be that CLI's own.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any, Final

import grpc
from pulumi.runtime.proto import (
    LanguageRuntimeServicer,
    callback_pb2_grpc,
    language_pb2,
    language_pb2_grpc,
    plugin_pb2,
)

from alma.pulumi.automation import sdk_faults
from alma.system.processes import serves
from alma.system.scratch import SHORT, scratch

sdk_faults.mend()

_THREADS: Final = 4
"""As in `Stack.up` of the Automation API."""
_LONGEST: Final = 80
"""Bytes of a socket's directory: with its name, less than the 104 that every system allows."""


class Host(LanguageRuntimeServicer):
    """What every language host of this process says of itself; `play` is each one's own.

    `callbacks` is what the engine may call meanwhile, at the same address.
    """

    callbacks: Any = None
    cli: Callable[[], int] = staticmethod(lambda: 0)
    """The pid of the CLI that is answered, once it runs."""

    def Run(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        """Run the program, or what stands for it, for whom alma has started to ask for it."""
        # The second is the engine's, which is told what the program logs.
        asking = (request.monitor_address, *request.args[:1])
        if not serves(self.cli(), *asking):
            said = f"{' and '.join(asking)} is not of alma's CLI"
            context.abort(grpc.StatusCode.PERMISSION_DENIED, said)
        return self.play(request)

    def play(self, request: Any) -> Any:
        """Do what the engine asks for; its answer."""
        raise NotImplementedError

    def About(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802 - gRPC's names
        """This interpreter."""
        version = ".".join(str(part) for part in sys.version_info[:3])
        return language_pb2.AboutResponse(executable=sys.executable, version=version)

    def GetRequiredPlugins(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """None: the engine finds them as it goes."""
        return language_pb2.GetRequiredPluginsResponse()

    def GetRequiredPackages(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """None, as above."""
        return language_pb2.GetRequiredPackagesResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """Nothing to tell: this is no plugin of a version."""
        return plugin_pb2.PluginInfo()


@contextmanager
def served(host: Host, cli: Callable[[], int]) -> Iterator[str]:
    """Serve it to this CLI, at the address that this gives."""
    host.cli = cli
    place = tempfile.gettempdir()
    if len(os.fsencode(place)) > _LONGEST:
        place = SHORT
    with scratch("host", place) as directory:
        pool = futures.ThreadPoolExecutor(_THREADS)
        server = grpc.server(pool, options=sdk_faults.CHANNEL_OPTIONS)
        language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)
        address = f"unix:{directory}/host"
        if host.callbacks is not None:
            host.callbacks.address = address
            callback_pb2_grpc.add_CallbacksServicer_to_server(host.callbacks, server)
        server.add_insecure_port(address)
        server.start()
        try:
            yield address
        finally:
            server.stop(0)
