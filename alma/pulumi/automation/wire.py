"""Property values between a state's JSON and the engine's messages. Imports protobuf."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

from google.protobuf.struct_pb2 import ListValue, Struct, Value

from alma.pulumi.checkpoint import FLOAT_SIGNATURE, SECRET_SIGNATURE, SIGNATURE
from alma.pulumi.deployment import is_secret


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
        return Value(null_value="NULL_VALUE")
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
