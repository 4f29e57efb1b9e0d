"""What differs between old inputs and new ones, by the engine's property paths."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pulumi.provider.experimental.provider import PropertyDiff, PropertyDiffKind

from tests.providers.kind import Kind

_ABSENT = object()
_KINDS = {
    ("add", False): PropertyDiffKind.ADD,
    ("add", True): PropertyDiffKind.ADD_REPLACE,
    ("delete", False): PropertyDiffKind.DELETE,
    ("delete", True): PropertyDiffKind.DELETE_REPLACE,
    ("update", False): PropertyDiffKind.UPDATE,
    ("update", True): PropertyDiffKind.UPDATE_REPLACE,
}


def detailed(kind: Kind, old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, PropertyDiff]:
    """The differences by path, each with whether it replaces the resource."""
    kept = {key: old[key] for key in kind.computed & old.keys() - new.keys()}
    old, new = ({**kind.defaults, **inputs} for inputs in (old, {**kept, **new}))
    return {
        path: PropertyDiff(_KINDS[how, replaces(kind, path)], input_diff=True)
        for path, how in _walk(kind, _visible(old), _visible(new), "")
    }


def replaces(kind: Kind, path: str) -> bool:
    """Whether a change at this path needs another resource."""
    return any(_within(path, immutable) for immutable in kind.immutable)


def _within(path: str, outer: str) -> bool:
    return path.startswith(outer) and path[len(outer) : len(outer) + 1] in ("", ".", "[")


def _visible(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in inputs.items() if not key.startswith("__")}


def _walk(kind: Kind, old: Any, new: Any, path: str) -> Iterator[tuple[str, str]]:
    if old is _ABSENT or new is _ABSENT:
        # As Pulumi has it: an empty collection is as good as none.
        if (new if old is _ABSENT else old) not in ({}, []):
            yield path, "add" if old is _ABSENT else "delete"
    elif isinstance(old, Mapping) and isinstance(new, Mapping):
        if path and kind.equal(path, old, new):
            return
        for key in [*old, *(key for key in new if key not in old)]:
            there = _key(path, key)
            yield from _walk(kind, old.get(key, _ABSENT), new.get(key, _ABSENT), there)
    elif kind.equal(path, old, new):
        return
    elif isinstance(old, list) and isinstance(new, list):
        for i in range(max(len(old), len(new))):
            before, after = (v[i] if i < len(v) else _ABSENT for v in (old, new))
            yield from _walk(kind, before, after, f"{path}[{i}]")
    else:
        yield path, "update"


def _key(path: str, key: str) -> str:
    if not re.fullmatch(r"[A-Za-z_$][\w$]*", key):
        return f"{path}[{_quoted(key)}]"
    return f"{path}.{key}" if path else key


def _quoted(key: str) -> str:
    return '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'


def tops(paths: Iterable[str]) -> list[str]:
    """The names of the properties that these paths are in."""
    return list(dict.fromkeys(re.split(r"[.\[]", path, maxsplit=1)[0] for path in paths))
