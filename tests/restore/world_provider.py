# ruff: noqa: ARG002, E402, N802 - names and arguments are the gRPC service's; see `_only_paths`
"""A provider whose world is a directory: a file for each resource, with what it is made of.

Run as the plugin `pulumi-resource-world`. It behaves as bridged providers do where that matters:
a `title` that nobody gave is made up, marked as a default, and kept; `fixed` changes by
replacement alone; ids are never the same. `fail` fails, `refuse` refuses a deletion.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import threading
import uuid
from concurrent import futures
from pathlib import Path
from types import ModuleType
from typing import Any

PARENT = os.getppid()


def _only_paths() -> None:
    """Make the SDK's packages mere paths: its messages are a third of what its import costs.

    The engine starts this plugin for every operation that finds a resource of it.
    """
    spec = importlib.util.find_spec("pulumi")
    assert spec is not None
    (root,) = spec.submodule_search_locations or ()
    for name in ("pulumi", "pulumi.runtime"):
        sys.modules[name] = module = ModuleType(name)
        module.__path__ = [str(Path(root, *name.split(".")[1:]))]


if __name__ == "__main__":
    _only_paths()

import grpc
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

GRACE = 60.0
"""Seconds in which a call that is under way may finish once the plugin is to end."""

SECRET = "1b47061264138c4ac30d75fd1eb44270"
SIGNATURE = "4dabf18193072939515e22adb298388d"


def plain(value: Any) -> Any:
    """The value with the contents of its secrets."""
    if isinstance(value, dict):
        if value.get(SIGNATURE) == SECRET:
            return plain(value["value"])
        return {key: plain(entry) for key, entry in value.items()}
    return [plain(entry) for entry in value] if isinstance(value, list) else value


def to_dict(message: Any) -> dict[str, Any]:
    """Properties as plain data."""
    found: dict[str, Any] = json_format.MessageToDict(message)
    return found


def to_struct(properties: dict[str, Any]) -> Any:
    """And back."""
    message = struct_pb2.Struct()
    message.update(properties)
    return message


class World(provider_pb2_grpc.ResourceProviderServicer):
    """The plugin."""

    def __init__(self) -> None:
        self.root = Path(os.environ["ALMA_TEST_WORLD"])
        self.config: dict[str, Any] = {}

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version="1.0.0")

    def Attach(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def Parameterize(self, request: Any, context: Any) -> Any:
        return provider_pb2.ParameterizeResponse(
            name=request.value.name, version=request.value.version
        )

    def GetSchema(self, request: Any, context: Any) -> Any:
        text = {"type": "string"}
        inputs = {"size": {"type": "integer"}, "token": {**text, "secret": True}, "fail": text}
        thing = {"inputProperties": inputs, "properties": {**inputs, "made": text}}
        types = {"world:index:Thing": thing}
        schema = {"name": "world", "version": "1.0.0", "resources": types}
        return provider_pb2.GetSchemaResponse(schema=json.dumps(schema))

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        old, new = to_dict(request.old_inputs), to_dict(request.news)
        return self._diff(old, new, "realm")

    def Configure(self, request: Any, context: Any) -> Any:
        self.config = plain(to_dict(request.args))
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, acceptResources=True
        )

    def Check(self, request: Any, context: Any) -> Any:
        old, new = to_dict(request.olds), to_dict(request.news)
        if "title" in new:
            new["__defaults"] = []
        else:
            kept = old.get("title") if "title" in old.get("__defaults", []) else None
            new["title"] = kept or f"{request.name}-{uuid.uuid4().hex[:6]}"
            new["__defaults"] = ["title"]
        return provider_pb2.CheckResponse(inputs=to_struct(new))

    def Diff(self, request: Any, context: Any) -> Any:
        return self._diff(to_dict(request.old_inputs), to_dict(request.news), "fixed")

    def Create(self, request: Any, context: Any) -> Any:
        inputs = to_dict(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(properties=request.properties)
        self._fail(inputs, context)
        identity = f"{request.name}-{uuid.uuid4().hex[:12]}"
        self._write(identity, inputs)
        outputs = {**inputs, "made": f"address-of-{identity}"}
        return provider_pb2.CreateResponse(id=identity, properties=to_struct(outputs))

    def Update(self, request: Any, context: Any) -> Any:
        inputs = to_dict(request.news)
        if not request.preview:
            self._fail(inputs, context)
            self._write(request.id, inputs)
        outputs = {**inputs, "made": f"address-of-{request.id}"}
        return provider_pb2.UpdateResponse(properties=to_struct(outputs))

    def Delete(self, request: Any, context: Any) -> Any:
        if plain(to_dict(request.old_inputs)).get("refuse"):
            context.abort(grpc.StatusCode.UNKNOWN, "it refuses to go")
        (self.root / request.id).unlink(missing_ok=True)
        return empty_pb2.Empty()

    def Read(self, request: Any, context: Any) -> Any:
        path = self.root / request.id
        if not path.exists():
            return provider_pb2.ReadResponse()
        inputs = to_struct(json.loads(path.read_text())["inputs"])
        return provider_pb2.ReadResponse(id=request.id, properties=inputs, inputs=inputs)

    def Cancel(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def _write(self, identity: str, inputs: dict[str, Any]) -> None:
        held = {"inputs": plain(inputs), "realm": self.config.get("realm", "")}
        (self.root / identity).write_text(json.dumps(held, sort_keys=True))

    def _fail(self, inputs: dict[str, Any], context: Any) -> None:
        if inputs.get("fail"):
            context.abort(grpc.StatusCode.UNKNOWN, f"made to fail: {inputs['fail']}")
        if inputs.get("gate"):
            Path(f"{inputs['gate']}.begun").touch()
            threading.Event().wait(float(inputs.get("seconds", 1)))

    @staticmethod
    def _diff(old: dict[str, Any], new: dict[str, Any], fixed: str) -> Any:
        changed = sorted(key for key in {*old, *new} if plain(old.get(key)) != plain(new.get(key)))
        some, none = provider_pb2.DiffResponse.DIFF_SOME, provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(
            changes=some if changed else none,
            diffs=changed,
            replaces=[key for key in changed if key == fixed],
            deleteBeforeReplace=bool(new.get("deleteFirst")),
        )


def main() -> None:
    """Serve until SIGINT or until the parent is gone, which when it is killed sends no signal."""
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(World(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()
        while server.wait_for_termination(1.0) and os.getppid() == PARENT:
            pass
    except (KeyboardInterrupt, BrokenPipeError):
        pass
    server.stop(GRACE).wait()
    # The interpreter's own end takes as long as a small call; there is nothing left to do in it.
    os._exit(0)


if __name__ == "__main__":
    main()
