"""Hooks of resources whose program is not run: registered by name, for a restore.

The state keeps the names of a resource's hooks, and the engine wants each to be there when it is
called. What they do stands in the program alone. So in a restore those of creates and updates do
nothing, and one that must run before a delete refuses it: what it would have drained or saved is
for whoever has the program.
"""

from __future__ import annotations

import re
from typing import Any

from google.protobuf import empty_pb2
from pulumi.runtime.proto import callback_pb2, callback_pb2_grpc, resource_pb2

from alma.pulumi.restore.plan import RestorePlan

_BEFORE_DELETE = "before_delete"
_ON_ERROR = "on_error"


class StandIns(callback_pb2_grpc.CallbacksServicer):
    """Stands in for all hooks that a plan names. `address` is set once it is served."""

    address: str

    def __init__(self, replay: RestorePlan) -> None:
        self._hooks = {
            (_kind(kind), name) for kind, names in replay.hooks.items() for name in names
        }

    def register(self, monitor: Any) -> None:
        """Make the engine know them; a name is registered once for each sort of hook."""
        for name in sorted({name for kind, name in self._hooks if kind != _ON_ERROR}):
            monitor.RegisterResourceHook(
                resource_pb2.RegisterResourceHookRequest(name=name, callback=self._callback(name))
            )
        for name in sorted({name for kind, name in self._hooks if kind == _ON_ERROR}):
            monitor.RegisterErrorHook(
                resource_pb2.RegisterErrorHookRequest(
                    name=name, callback=self._callback(f"?{name}")
                )
            )

    def shutdown(self, monitor: Any) -> None:
        """Stay until the engine has done its deletes, at the end; only then is the program over."""
        if self._hooks:
            monitor.SignalAndWaitForShutdown(empty_pb2.Empty())

    def Invoke(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802 - gRPC's names
        """Called by the engine."""
        answer: Any = resource_pb2.ErrorHookResponse(retry=False)
        if not request.token.startswith("?"):
            asked = resource_pb2.ResourceHookRequest.FromString(request.request)
            deletes = not asked.HasField("new_inputs")
            answer = resource_pb2.ResourceHookResponse()
            if deletes and (_BEFORE_DELETE, request.token) in self._hooks:
                answer.error = "it stands in the program, which a restore does not run"
        return callback_pb2.CallbackInvokeResponse(response=answer.SerializeToString())

    def _callback(self, token: str) -> Any:
        return callback_pb2.Callback(target=self.address, token=token)


def binding(entry: Any) -> Any:
    """The hooks of an entry, as its registration names them."""
    hooks = entry.get("resourceHooks") or {}
    fields = {_kind(kind): names for kind, names in hooks.items()}
    return resource_pb2.RegisterResourceRequest.ResourceHooksBinding(**fields)


def _kind(name: str) -> str:
    """`before_delete` of the state's `BeforeDelete`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
