"""Dynamic providers written to the state the same way each time, and any number of them.

Imports pulumi. Two faults of `pulumi.dynamic.dynamic.serialize_provider` (3.259) are mended:

- It replaces methods of `pickle._Pickler` by wrappers of what is there and restores none, so that
  every dynamic resource after the 319th in a process ends in a RecursionError.
- What pickle writes depends on which equal strings and tuples are one object, which differs
  between a fresh process and one that has loaded the program before. The provider is an input
  of its resource, so that nothing but the process would show up as an update.
"""

from __future__ import annotations

import pickle
import sys
from typing import Any, Final

from pulumi.dynamic import dynamic

_PATCHED: Final = ("_batch_setitems", "save_dict", "save")
_LEAVES: Final = (str, bytes, int, float, bool, complex, type(None), type(Ellipsis))


def mend() -> None:
    """Make the SDK serialise providers so, in this process."""
    serialize = dynamic.serialize_provider
    pickler: Any = pickle._Pickler  # noqa: SLF001 - it is what the SDK patches

    def mended(provider: Any) -> str:
        kept = {name: pickler.__dict__[name] for name in _PATCHED}
        canonical = _Canonical()

        def save(self: Any, value: Any, *arguments: Any, **options: Any) -> Any:
            return kept["save"](self, canonical(value), *arguments, **options)

        pickler.save = save
        try:
            return str(serialize(provider))
        finally:
            for name, method in kept.items():
                setattr(pickler, name, method)

    dynamic.serialize_provider = mended


class _Canonical:
    """Gives the same object for equal strings, bytes and tuples of plain values."""

    def __init__(self) -> None:
        self._known: dict[Any, Any] = {}

    def __call__(self, value: Any) -> Any:
        if type(value) is str:
            return sys.intern(value)
        if type(value) is bytes:
            return self._known.setdefault((bytes, value), value)
        if type(value) is tuple and _is_plain(value):
            return self._known.setdefault(_key(value), value)
        return value


def _is_plain(value: Any) -> bool:
    if type(value) is tuple:
        return all(_is_plain(entry) for entry in value)
    return type(value) in _LEAVES


def _key(value: Any) -> Any:
    """Equal only for what is written alike: 1, True, 1.0 and -0.0 against 0.0 are not."""
    if type(value) is tuple:
        return (tuple, *(_key(entry) for entry in value))
    return type(value), repr(value)
