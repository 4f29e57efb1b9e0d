"""Faults of what alma stands on, mended: the only file that names private parts of it.

Each mend stands beside the fault that makes it necessary. Seen in pulumi 3.259 and in
cloudpickle 3.1; `tests/pulumi/test_sdk_faults.py` names every private part.
"""

from __future__ import annotations

import pickle
import sys
from typing import Any, Final

import cloudpickle
from pulumi.dynamic import dynamic
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS

_PATCHED: Final = ("_batch_setitems", "save_dict", "save")
_LEAVES: Final = (str, bytes, int, float, bool, complex, type(None), type(Ellipsis))


CHANNEL_OPTIONS: Final = _GRPC_CHANNEL_OPTIONS
"""For channels and servers of alma's own, too: messages may be as large as Pulumi allows."""


def mend() -> None:
    """Mend what the SDK does in this process, once."""
    _connect_each_channel_by_itself()
    _serialize_providers_alike()


def _connect_each_channel_by_itself() -> None:
    """gRPC shares what it knows of an address among all channels of a process.

    Where a call to an engine that has ended still hangs on, in a thread of the program's for one,
    the next engine that the system gives the same port would be taken for unreachable, seconds
    long: the SDK then says that the resource monitor has terminated. It gives this list, which no
    argument of its reaches, to every channel that it opens.
    """
    CHANNEL_OPTIONS.append(("grpc.use_local_subchannel_pool", 1))


def forget_classes() -> None:
    """cloudpickle hands out a class that it has loaded before, with what was left in it.

    In a worker that is the last operation's; nothing public empties its trackers.
    """
    trackers = vars(cloudpickle.cloudpickle)
    for name in ("_DYNAMIC_CLASS_TRACKER_BY_ID", "_DYNAMIC_CLASS_TRACKER_BY_CLASS"):
        trackers.get(name, {}).clear()


def _serialize_providers_alike() -> None:
    """Write dynamic providers to the state the same way each time, and any number of them.

    Two faults of `pulumi.dynamic.dynamic.serialize_provider`:

    - It replaces methods of `pickle._Pickler` by wrappers of what is there and restores none, so
      that every dynamic resource after the 319th in a process ends in a RecursionError.
    - What pickle writes depends on which equal strings and tuples are one object, which differs
      between a fresh process and one that has loaded the program before. The provider is an
      input of its resource, so that nothing but the process would show up as an update.
    """
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
