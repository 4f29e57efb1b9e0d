"""Between the engine's values and plain Python: dicts, lists, str, int, float, bool, None.

Plain values know neither secrets nor dependencies. `dress` puts the secrets back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pulumi.provider.experimental.property_value import PropertyValue, ResourceReference
from pulumi.runtime import rpc


class FailureError(Exception):
    """What the user is to read: raised by a stand-in for what it cannot do."""


UNKNOWN: str = rpc.UNKNOWN
"""What stands, in a preview, for a value that only the real operation will tell."""


def plain(value: PropertyValue) -> Any:
    """The value without its secrets; whole numbers as int, assets as they are."""
    inner = value.value
    if isinstance(inner, Mapping):
        return plain_map(inner)
    if isinstance(inner, float):
        return int(inner) if inner.is_integer() else inner
    if isinstance(inner, ResourceReference):
        return None if inner.resource_id is None else plain(inner.resource_id)
    if isinstance(inner, Sequence) and not isinstance(inner, str):
        return [plain(item) for item in inner]
    return inner


def plain_map(values: Mapping[str, PropertyValue]) -> dict[str, Any]:
    """The properties by name. One that is null counts as not given."""
    return {key: plain(value) for key, value in values.items() if value.value is not None}


def dress(value: Any, *likes: PropertyValue | None) -> PropertyValue:
    """The plain value for the engine, secret wherever one of `likes` has a secret at that place.

    Where the shapes differ, so that the place cannot be told, the whole is secret.
    """
    given = [like for like in likes if like is not None]
    secret = any(like.is_secret for like in given)
    if isinstance(value, Mapping):
        maps = [like.value for like in given if isinstance(like.value, Mapping)]
        inner: Any = {
            key: dress(item, *(each.get(key) for each in maps)) for key, item in value.items()
        }
        others = [like for like in given if not isinstance(like.value, Mapping)]
    elif isinstance(value, list | tuple):
        size = len(value)
        lists = [v for like in given if isinstance(v := like.value, tuple) and len(v) == size]
        inner = [dress(item, *(each[i] for each in lists)) for i, item in enumerate(value)]
        others = [like for like in given if not any(like.value is each for each in lists)]
    else:
        # Only a float is a number to the SDK.
        number = isinstance(value, int) and not isinstance(value, bool)
        inner, others = float(value) if number else value, given
    return PropertyValue(inner, is_secret=secret or any(o.contains_secret() for o in others))


def dress_map(
    values: Mapping[str, Any], *likes: Mapping[str, PropertyValue], secret: frozenset[str]
) -> dict[str, PropertyValue]:
    """The properties for the engine; those named in `secret` are secret whatever the others are."""
    dressed = {
        key: dress(value, *(like.get(key) for like in likes))
        for key, value in values.items()
        if value is not None
    }
    return {k: v.with_secret(True) if k in secret else v for k, v in dressed.items()}


def has_unknown(value: Any) -> bool:
    """Whether a part of the plain value is not known yet."""
    if isinstance(value, Mapping):
        return any(map(has_unknown, value.values()))
    if isinstance(value, list):
        return any(map(has_unknown, value))
    return isinstance(value, str) and value == UNKNOWN


def decoded(config: Mapping[str, Any], name: str, default: Any = None) -> Any:
    """A setting of the provider's that is no string: the engine hands these on as JSON text.

    Raises FailureError for text that is none.
    """
    value = config.get(name, default)
    if not isinstance(value, str) or value == "":
        return default if value == "" else value
    try:
        return json.loads(value)
    except ValueError:
        raise FailureError(f"the setting {name} is not JSON: {value!r}") from None
