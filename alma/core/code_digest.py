"""A digest of what a function does: the same in another process, different when it is edited."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Final

_PLAIN: Final = (str, bytes, int, float, complex, bool, type(None), type(Ellipsis))

_MOST: Final = 5000
"""Objects that `whole_digest` looks through: who holds more holds a client or its like."""


def code_digest(function: Any) -> str:
    """SHA-256 as hex over code, constants, defaults, captured plain data, and what it calls.

    Functions, classes and plain data of the function's own module are followed; of other modules
    only the name counts. Line numbers, file paths, docstrings' positions and the order of sets do
    not. Captured objects that are not plain data count by their type. Another version of Python
    compiles to other code, so digests are comparable within one version only.
    """
    digest = hashlib.sha256()
    for part in _function(function, set()):
        digest.update(part.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()


class _Whole(set[int]):
    """What was seen of a function whose captured objects count by what they hold."""

    def __init__(self) -> None:
        super().__init__()
        self.opaque = ""
        self.kept: list[Any] = []
        """What was made to be looked at: else another thing could have its id."""


def whole_digest(function: Any) -> tuple[str, str]:
    """As `code_digest`, with what captured objects hold; and the class of one that cannot be seen.

    It is another one in another process only where something has changed, or might have.
    """
    digest, seen = hashlib.sha256(), _Whole()
    try:
        for part in _function(function, seen):
            digest.update(part.encode("utf-8", "surrogatepass") + b"\0")
    except RecursionError:
        seen.opaque = seen.opaque or "too deep to be looked through"
    return digest.hexdigest(), seen.opaque


def _function(function: Any, seen: set[int]) -> Iterator[str]:
    if id(function) in seen:
        yield "again"
        return
    seen.add(id(function))
    if isinstance(function, functools.partial):
        yield "partial"
        yield from _function(function.func, seen)
        yield from _value(list(function.args), seen)
        yield from _value(function.keywords, seen)
    elif isinstance(function, MethodType):
        yield "method"
        yield from _function(function.__func__, seen)
        yield from _value(getattr(function.__self__, "__dict__", None), seen)
    elif isinstance(function, FunctionType):
        yield from _code(function.__code__)
        yield from _value(list(function.__defaults__ or ()), seen)
        yield from _value(function.__kwdefaults__ or {}, seen)
        yield from _captured(function, seen)
    elif isinstance(function, type):
        yield f"class {function.__qualname__}"
        for name, member in sorted(dict(vars(function)).items()):
            if not name.startswith("__") or name == "__init__":
                yield name
                yield from _value(member, seen)
    else:
        # An object that can be called: its class, and its own data.
        yield from _function(type(function), seen)
        yield from _value(getattr(function, "__dict__", None), seen)


def _captured(function: FunctionType, seen: set[int]) -> Iterator[str]:
    code = function.__code__
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=False):
        yield name
        try:
            yield from _reference(cell.cell_contents, function.__module__, seen)
        except ValueError:
            yield "unassigned"
    for name in sorted(referred_names(code)):
        if name in function.__globals__:
            yield name
            yield from _reference(function.__globals__[name], function.__module__, seen)


def _reference(value: Any, module: str, seen: set[int]) -> Iterator[str]:
    """Something of the same module is followed; of another, it stands for itself by its name."""
    if issubclass(type(value), ModuleType):
        # Asked first: `isinstance` reads `__class__`, which loads a lazy module. And its class
        # does not count, since it is another one from then on.
        yield f"a builtins.module {module_name(value)}"
    elif issubclass(type(value), FunctionType | type) and value.__module__ != module:
        yield f"{value.__module__}.{value.__qualname__}"
    else:
        yield from _value(value, seen)


def _value(value: Any, seen: set[int]) -> Iterator[str]:
    # By the class and not `isinstance`: that asks a proxy what it stands for.
    kind = type(value)
    if issubclass(kind, _PLAIN):
        yield f"{type(value).__name__} {value!r}"
    elif issubclass(kind, Mapping | list | tuple | set | frozenset):
        if id(value) in seen:  # It holds itself.
            yield "again"
            return
        seen.add(id(value))
        yield from _entries(value, seen)
        seen.discard(id(value))
    elif issubclass(kind, FunctionType | MethodType | type | functools.partial):
        yield from _function(value, seen)
    else:
        yield from _member(value, seen)


def _entries(value: Any, seen: set[int]) -> Iterator[str]:
    # Of a copy, which is of one moment: another thread may be at work on it.
    if isinstance(value, Mapping):
        held = dict(value)
        yield f"mapping {len(held)}"
        for key in sorted(held, key=repr):
            yield repr(key) if isinstance(key, _PLAIN) else type(key).__qualname__
            yield from _value(held[key], seen)
    elif isinstance(value, list | tuple):
        entries = list(value)
        yield f"sequence {len(entries)}"
        for entry in entries:
            yield from _value(entry, seen)
    else:
        members = set(value)
        yield f"set {len(members)}"
        yield from sorted("".join(_value(entry, seen)) for entry in members)


def _member(value: Any, seen: set[int]) -> Iterator[str]:
    if issubclass(type(value), staticmethod | classmethod):
        yield from _function(value.__func__, seen)
    elif issubclass(type(value), property):
        for accessor in (value.fget, value.fset, value.fdel):
            yield from _value(accessor, seen)
    else:
        kind = type(value)
        yield f"a {kind.__module__}.{kind.__qualname__} {_own_name(value)}"
        if isinstance(seen, _Whole) and not _own_name(value):
            yield from _held(value, seen)


def _held(value: Any, seen: _Whole) -> Iterator[str]:
    """What an object would be made of again, as `copy` and `pickle` ask for it."""
    if id(value) in seen:
        yield "again"
        return
    seen.add(id(value))
    try:
        parts = object.__getattribute__(value, "__reduce_ex__")(4) if len(seen) < _MOST else None
    except Exception:  # noqa: BLE001 - it may raise anything
        parts = None
    if parts is None:
        seen.opaque = seen.opaque or f"{type(value).__module__}.{type(value).__qualname__}"
        return
    for part in parts if isinstance(parts, tuple) else (parts,):
        seen.kept.append(list(part) if isinstance(part, Iterator) else part)
        yield from _value(seen.kept[-1], seen)


def _own_name(value: Any) -> Any:
    """The name of what has one. A proxy would load its target to tell, or fail for want of it."""
    try:
        return object.__getattribute__(value, "__name__")
    except AttributeError:
        return ""


def _code(code: CodeType) -> Iterator[str]:
    yield code.co_name
    yield code.co_code.hex()
    yield repr((code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars))
    yield repr((code.co_argcount, code.co_kwonlyargcount, code.co_flags))
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _code(constant)
        else:
            yield from _value(constant, set())


def module_name(module: ModuleType) -> str:
    """A module's name; a lazy one is not loaded to tell it."""
    return str(object.__getattribute__(module, "__dict__").get("__name__", ""))


def referred_names(code: CodeType) -> set[str]:
    """The globals that a function, and those defined in it, may refer to."""
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return {*code.co_names}.union(*(referred_names(constant) for constant in inner))
