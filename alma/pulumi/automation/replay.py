"""The program of a restore: registers a replay's entries with the engine.

It speaks to the engine's monitor itself rather than through resource classes: the state holds
just what `RegisterResource` takes.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

import grpc
from google.protobuf.struct_pb2 import NULL_VALUE, ListValue, Struct, Value
from pulumi.runtime.proto import language_pb2, resource_pb2, resource_pb2_grpc

from alma.pulumi.automation import sdk_faults
from alma.pulumi.automation.hooks import StandIns, binding
from alma.pulumi.automation.host import Host
from alma.pulumi.checkpoint import FLOAT_SIGNATURE, SECRET_SIGNATURE, SIGNATURE
from alma.pulumi.deployment import (
    Entry,
    dependencies_of,
    is_secret,
    name_of,
    provider_of,
    without_defaults,
)
from alma.pulumi.restore.plan import RestorePlan, default_plugin, internal
from alma.pulumi.restore.substitution import (
    Substitutions,
    find_substitutions,
    merge,
    substitute,
    substituted_inputs,
)

_AT_ONCE: Final = 16
"""Registrations under way: each waits in a thread; the engine has a limit of its own."""

Register = resource_pb2.RegisterResourceRequest


class FailedError(Exception):
    """This entry, or one that it needs, could not be registered; the engine has said why."""


class ReplayHost(Host):
    """Registers this plan with the engine in a program's place."""

    def __init__(self, replay: RestorePlan) -> None:
        self._replay = replay
        self.callbacks = StandIns(replay)

    def play(self, request: Any) -> Any:
        """Register it all; an error without words: what failed has been told, with its URN."""
        options = sdk_faults.CHANNEL_OPTIONS
        with grpc.insecure_channel(request.monitor_address, options=options) as channel:
            monitor = resource_pb2_grpc.ResourceMonitorStub(channel)
            self.callbacks.register(monitor)
            said = Player(self._replay, monitor).play()
            if not said:
                self.callbacks.shutdown(monitor)
        return language_pb2.RunResponse(error="\n".join(said[:3]), bail=said == [""])


class Player:
    """Registers entries, each after all that it needs, several at once."""

    def __init__(self, replay: RestorePlan, monitor: Any) -> None:
        self._replay = replay
        self._monitor = monitor
        self._futures: dict[str, Future[str]] = {}
        self._substitutions: dict[str, Substitutions] = {}
        self._packages: dict[str, str] = {}

    def play(self) -> list[str]:
        """Register all; what went wrong, empty texts where the engine has said it itself.

        The engine deletes nothing after a failure: an entry that was not registered because of
        one is not taken for a resource that is not wanted.
        """
        used = {provider_of(entry)[0] for entry in self._replay.entries}
        for urn, plugin in self._replay.plugins.items():
            if urn in used:
                self._register_package(urn, plugin)
        # In order, and started in order: whatever an entry waits for is already under way.
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for entry in self._replay.entries:
                self._futures[entry["urn"]] = pool.submit(self._register, entry)
        failed = [future.exception() for future in self._futures.values()]
        said = sorted({str(error) for error in failed if error is not None}, reverse=True)
        if not said:
            for entry in reversed(self._replay.entries):
                if not entry.get("custom"):
                    self._tell_outputs(entry)
        return said

    def _register(self, entry: Entry) -> str:
        """Register one; its physical id."""
        ids = {}
        for urn in dependencies_of(entry):
            if urn in self._futures:
                try:
                    ids[urn] = self._futures[urn].result()
                except Exception as error:
                    raise FailedError("") from error
        if entry["urn"] in self._replay.impossible:
            raise FailedError(f"{name_of(entry['urn'])}: {self._replay.impossible[entry['urn']]}")
        try:
            if entry.get("external"):
                message = self._reading(entry, ids)
                answer = self._monitor.ReadResource(message)
                identity, outputs = entry["id"], from_struct(answer.properties)
            else:
                answer = self._monitor.RegisterResource(self._registration(entry, ids))
                identity, outputs = answer.id, from_struct(answer.object)
        except grpc.RpcError as error:
            gone = error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
            said = "" if gone else f"{name_of(entry['urn'])}: {error.details()}"
            raise FailedError(said) from None
        if not entry.get("external") and answer.result != resource_pb2.SUCCESS:
            raise FailedError("")
        self._substitutions[entry["urn"]] = find_substitutions(entry, identity, outputs)
        return str(identity)

    def _registration(self, entry: Entry, ids: Mapping[str, str]) -> Register:
        urn = entry["urn"]
        relaxed = urn in self._replay.relaxed
        inputs = self._inputs(entry)
        message = Register(
            type=entry["type"],
            name=name_of(urn),
            parent=entry.get("parent", ""),
            custom=bool(entry.get("custom")),
            object=to_struct(inputs),
            protect=bool(entry.get("protect")) and urn not in self._replay.deleted,
            retainOnDelete=bool(entry.get("retainOnDelete")),
            dependencies=entry.get("dependencies") or [],
            additionalSecretOutputs=entry.get("additionalSecretOutputs") or [],
            ignoreChanges=[] if relaxed else entry.get("ignoreChanges") or [],
            replaceOnChanges=[] if relaxed else entry.get("replaceOnChanges") or [],
            deletedWith=entry.get("deletedWith", ""),
            replace_with=entry.get("replaceWith") or [],
            hideDiffs=[_path(path) for path in entry.get("hideDiff") or []],
            importId=self._replay.imported.get(urn, ""),
            aliasURNs=[self._replay.aliases[urn]] if urn in self._replay.aliases else [],
            aliasSpecs=True,
            hooks=binding(entry),
            acceptSecrets=True,
            acceptResources=True,
            supportsPartialValues=True,
            supportsResultReporting=True,
            **self._provider(entry, ids),
        )
        for key in inputs:
            # One for each, empty ones too: with none at all the engine takes all for dependencies.
            known = (entry.get("propertyDependencies") or {}).get(key) or []
            message.propertyDependencies[key].urns.extend(known)
        for key, seconds in (entry.get("customTimeouts") or {}).items():
            setattr(message.customTimeouts, key, f"{seconds:f}s")
        if entry.get("replacementTrigger") is not None:
            message.replacement_trigger.CopyFrom(to_value(entry["replacementTrigger"]))
        return message

    def _reading(self, entry: Entry, ids: Mapping[str, str]) -> Any:
        return resource_pb2.ReadResourceRequest(
            id=entry["id"],
            type=entry["type"],
            name=name_of(entry["urn"]),
            parent=entry.get("parent", ""),
            properties=to_struct(self._inputs(entry)),
            dependencies=entry.get("dependencies") or [],
            additionalSecretOutputs=entry.get("additionalSecretOutputs") or [],
            acceptSecrets=True,
            acceptResources=True,
            **self._provider(entry, ids),
        )

    def _inputs(self, entry: Entry) -> Mapping[str, Any]:
        inputs: Mapping[str, Any] = without_defaults(substituted_inputs(entry, self._substitutions))
        return inputs

    def _provider(self, entry: Entry, ids: Mapping[str, str]) -> dict[str, Any]:
        """A reference to an explicit provider, or what makes the engine choose the default one."""
        urn, identity = provider_of(entry)
        plugin = default_plugin(entry, self._replay)
        if plugin is None:
            return {"provider": f"{urn}::{ids.get(urn, identity)}"} if urn else {}
        if urn in self._packages:
            return {"packageRef": self._packages[urn]}
        source = internal(plugin)
        return {
            "version": plugin.get("version", ""),
            "pluginDownloadURL": source.get("pluginDownloadURL", ""),
            "pluginChecksums": {
                name: bytes.fromhex(digest)
                for name, digest in (source.get("pluginChecksums") or {}).items()
            },
        }

    def _register_package(self, urn: str, plugin: Mapping[str, Any]) -> None:
        """A parameterized package is told to the engine first."""
        source = internal(plugin)
        if "parameterization" not in source:
            return
        request = resource_pb2.RegisterPackageRequest(
            name=source["name"],
            version=source.get("version", ""),
            download_url=source.get("pluginDownloadURL", ""),
        )
        request.parameterization.name = urn.split("::")[2].rpartition(":")[2]
        request.parameterization.version = plugin["version"]
        request.parameterization.value = base64.b64decode(source["parameterization"])
        self._packages[urn] = self._monitor.RegisterPackage(request).ref

    def _tell_outputs(self, entry: Entry) -> None:
        # The outputs of a stack or a component do not say what each of them came from.
        texts = merge(self._substitutions, self._substitutions)
        outputs = substitute(entry.get("outputs") or {}, texts)
        request = resource_pb2.RegisterResourceOutputsRequest(
            urn=entry["urn"], outputs=to_struct(outputs)
        )
        self._monitor.RegisterResourceOutputs(request)


def _path(path: Any) -> str:
    """A property path in its text form, from the list that a state holds."""
    if isinstance(path, str):
        return path
    return "".join(f"[{part}]" if isinstance(part, int) else f'["{part}"]' for part in path)


def to_struct(properties: Mapping[str, Any]) -> Struct:
    """Properties as the engine takes them. Assets and references have one form in both."""
    message = Struct()
    for key, value in properties.items():
        message.fields[key].CopyFrom(to_value(value))
    return message


def to_value(value: Any) -> Value:
    """One value of an opened state."""
    if is_secret(value):
        content = to_value(json.loads(value["plaintext"]))
        fields = {SIGNATURE: Value(string_value=SECRET_SIGNATURE), "value": content}
        return Value(struct_value=Struct(fields=fields))
    if value is None:
        return Value(null_value=NULL_VALUE)
    if isinstance(value, bool):
        return Value(bool_value=value)
    if isinstance(value, int | float):
        return Value(number_value=value)
    if isinstance(value, str):
        return Value(string_value=value)
    if isinstance(value, list):
        return Value(list_value=ListValue(values=[to_value(entry) for entry in value]))
    if value.get(SIGNATURE) == FLOAT_SIGNATURE:
        return Value(number_value=struct.unpack(">d", bytes.fromhex(value["value"]))[0])
    return Value(struct_value=to_struct(value))


def from_struct(message: Struct) -> dict[str, Any]:
    """What the engine answered, as plain data; secrets as its messages have them."""
    return {key: _from_value(value) for key, value in message.fields.items()}


def _from_value(value: Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return from_struct(value.struct_value)
    if kind == "list_value":
        return [_from_value(entry) for entry in value.list_value.values]
    return None if kind in (None, "null_value") else getattr(value, kind)
