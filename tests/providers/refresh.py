"""The inputs that a resource would have been made with, out of what it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.providers.kind import Kind, Props


def inputs_of(kind: Kind, old: Props, found: Props) -> Props:
    """The old inputs as they are now; for an import (no old ones), all that say something."""
    if not old:
        names = found.keys() if kind.inputs is None else kind.inputs & found.keys()
        return {
            name: found[name]
            for name in sorted(names)
            if found[name] not in (None, "", [], {}) and found[name] != kind.defaults.get(name)
        }
    now = {}
    for name, value in old.items():
        if name not in found:
            now[name] = value
        elif found[name] is not None:
            now[name] = _seen(kind, name, value, found[name])
    return now


def _seen(kind: Kind, path: str, old: Any, found: Any) -> Any:
    """What was given, changed only where the service differs."""
    if kind.equal(path, old, found):
        return old
    if isinstance(old, Mapping) and isinstance(found, Mapping) and path not in kind.maps:
        there = {key: old[key] for key in old if key in found}
        return {k: _seen(kind, f"{path}.{k}", v, found[k]) for k, v in there.items()}
    if isinstance(old, list) and isinstance(found, list) and len(old) == len(found):
        pairs = enumerate(zip(old, found, strict=True))
        return [_seen(kind, f"{path}[{i}]", *pair) for i, pair in pairs]
    return found
