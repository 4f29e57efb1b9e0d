"""What a function stands on that is no code of its own: local modules, and installed packages."""

from __future__ import annotations

import functools
import hashlib
import os
import site
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any


def modules_digest(function: Any) -> str:
    """Of the files of the local modules that the function's module imports, and those import.

    Local is what is neither installed nor of Python itself. What is imported only when the
    function runs is not seen.
    """
    found: dict[str, str] = {}
    waiting = [_globals(function)]
    while waiting:
        for module in _modules(waiting.pop()):
            name = str(vars(module).get("__name__", ""))
            file = vars(module).get("__file__")
            if name not in found and isinstance(file, str) and _is_local(file):
                found[name] = _digest(file)
                waiting.append(vars(module))
    found.pop(str(_globals(function).get("__name__", "")), None)  # its code is digested itself
    return hashlib.sha256(repr(sorted(found.items())).encode()).hexdigest()


def packages_digest() -> str:
    """Of the names and versions of what is installed, and of Python's own."""
    names = {sys.version}
    for place in sys.path:
        try:
            entries = os.scandir(place or ".")
        except OSError:
            continue
        with entries:
            found = (entry.name for entry in entries)
            names.update(name for name in found if name.endswith((".dist-info", ".egg-info")))
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()


def _globals(function: Any) -> Mapping[str, Any]:
    while isinstance(function, functools.partial):
        function = function.func
    function = getattr(function, "__func__", function)
    if not hasattr(function, "__globals__"):
        function = vars(type(function)).get("__call__")
    found = getattr(function, "__globals__", {})
    return found if isinstance(found, Mapping) else {}


def _modules(names: Mapping[str, Any]) -> Iterator[ModuleType]:
    """The modules among these globals, and those that something among them is of."""
    for value in list(names.values()):
        if issubclass(type(value), ModuleType):
            yield value
            continue
        try:
            name = object.__getattribute__(value, "__module__")
        except AttributeError:
            continue
        module = sys.modules.get(name) if isinstance(name, str) else None
        if module is not None:
            yield module


@functools.cache
def _foreign() -> tuple[str, ...]:
    paths = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    paths += [*site.getsitepackages(), site.getusersitepackages()]
    paths.append(str(Path(__file__).parents[1]))
    return tuple(f"{os.path.realpath(path)}{os.sep}" for path in paths)


@functools.cache
def _is_local(file: str) -> bool:
    return not os.path.realpath(file).startswith(_foreign())


@functools.cache
def _digest(file: str) -> str:
    try:
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()
    except OSError:
        return ""
