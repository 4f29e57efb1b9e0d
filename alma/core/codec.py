"""Events to their own fields, and from JSON back: what a journal's column `data` holds."""

from __future__ import annotations

import json
from typing import Any, Final, Union

import msgspec
from msgspec import UNSET
from msgspec.structs import asdict

from alma.core.events import Event

_TYPES: Final = {cls.__name__: cls for cls in Event.__subclasses__()}
_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(Union[tuple(_TYPES.values())])  # noqa: UP007


def own_fields(event: Event) -> dict[str, Any]:
    """The event's own fields, without its type and step; the parts of one are still structs."""
    fields = said_fields(event)
    del fields["step"]
    return fields


def said_fields(part: msgspec.Struct) -> dict[str, Any]:
    """Of an event, or of a part of one, the fields that it says: an older one has fewer."""
    return {name: value for name, value in asdict(part).items() if value is not UNSET}


def decode(type_: str, step: str, data: str) -> Event:
    """The event of own fields in JSON; `ValueError` for what this version does not know."""
    if type_ not in _TYPES:
        raise ValueError(f"unknown event type {type_!r}")
    if not data.startswith("{"):
        raise ValueError(f"event {type_}: its data is no object")
    named = f'{{"type":"{type_}","step":{_ENCODER.encode(step).decode()}'
    try:
        try:
            event: Event = _DECODER.decode(f"{named}{',' if data != '{}' else ''}{data[1:]}")
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            # Half a surrogate pair, from undecodable bytes in a message, is JSON to Python alone.
            fields = {**json.loads(data), "type": type_, "step": step}
            event = msgspec.convert(fields, _DECODER.type)
    except msgspec.ValidationError as error:
        raise ValueError(f"event {type_}: {error}") from error
    return event
