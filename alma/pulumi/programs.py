"""Programs as bytes for a worker process, and what is wrong with one that cannot be sent."""

from __future__ import annotations

import functools
import importlib
import io
import sys
import threading
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Final

import cloudpickle

from alma.core.code_digest import code_digest, module_name, referred_names
from alma.errors import DefinitionError

__all__ = ["code_digest", "serialize_program"]

_DEEPEST = 4
"""Levels of functions and objects that the search for a culprit goes down."""


def serialize_program(
    program: Callable[..., Any], *, step: str = "", by_value: Iterable[ModuleType] = ()
) -> bytes:
    """The program as bytes that a worker loads with pickle.

    Functions and classes of `__main__` and of the `by_value` modules travel by value; those of
    other modules by name, so a worker must be able to import them. So does what cannot be sent
    itself and is a global of such a module: a client, a session, an open file. Raises
    `DefinitionError` that names what cannot be sent, and the step.
    """
    by_value = tuple(by_value)
    with ExitStack() as registered:
        for module in by_value:
            if sys.modules.get(module.__name__) is not module:
                continue  # Known by no name, so cloudpickle takes it by value anyway.
            cloudpickle.register_pickle_by_value(module)
            registered.callback(cloudpickle.unregister_pickle_by_value, module)
        named: dict[int, tuple[str, str]] = {}
        while True:
            try:
                return _dumps(program, named)
            except Exception as error:
                # Once more without what a module holds that the worker can import.
                if not _name_more(program, named, by_value):
                    raise _refusal(program, step, error) from error


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no type hints
    """cloudpickle's, with more by its name, with new locks, and with the names of source files."""

    def __init__(self, file: io.BytesIO, named: Mapping[int, tuple[str, str]]) -> None:
        super().__init__(file)
        self._named = named
        self._imported = {
            id(one): name
            # A copy is made in one go; a list of pairs may run a collection of garbage half way,
            # and with it anybody's code, which may import.
            for name, one in sys.modules.copy().items()
            if type(one) not in (ModuleType, type(None))
        }
        """What takes the place of a module: imported by a name, it can be so again."""

    def reducer_override(self, obj: Any) -> Any:
        # Nothing is asked of a lazy module or a proxy: reading an attribute would load it.
        kind = type(obj)
        if id(obj) in self._named:
            return _global, self._named[id(obj)]
        if issubclass(kind, ModuleType) and kind is not ModuleType:
            # The SDKs' modules of resources are of a class of their own until they are used,
            # which cloudpickle's table of exact types does not know.
            name = module_name(obj)
            return (importlib.import_module, (name,)) if name in sys.modules else NotImplemented
        if id(obj) in self._imported:
            return importlib.import_module, (self._imported[id(obj)],)
        if kind in _FRESH:
            return _FRESH[kind], ()
        if _is_proxy(kind):
            return _with_state, (kind, object.__getattribute__(obj, "__dict__"))
        if kind is CodeType:
            # cloudpickle 3.1.3 writes "<dynamic-code>" for the file, and no traceback in a
            # worker would tell the user's line. `CodeType` takes the file as its eleventh.
            make, arguments = self.dispatch_table[CodeType](obj)
            return make, (*arguments[:10], "".join(obj.co_filename), *arguments[11:])
        return super().reducer_override(obj)


_FRESH: Final[dict[type, Callable[[], Any]]] = {
    type(threading.Lock()): threading.Lock,
    type(threading.RLock()): threading.RLock,
    threading.local: threading.local,
}
"""What belongs to one process: in another one it is new, held by nobody."""


def _is_proxy(kind: type) -> bool:
    """Whether objects of this class have attributes that they make up, and no way to be pickled.

    pickle asks a new, empty one for `__setstate__`: it would look for its target and never end.
    """
    ways = ("__reduce_ex__", "__reduce__", "__new__", "__getstate__")
    plain = all(getattr(kind, way, None) is getattr(object, way, None) for way in ways)
    if not plain or hasattr(kind, "__setstate__"):
        return False
    return hasattr(kind, "__getattr__") and bool(kind.__dictoffset__)


def _with_state(kind: type, state: dict[str, Any]) -> Any:
    made: Any = object.__new__(kind)
    object.__getattribute__(made, "__dict__").update(state)
    return made


def _global(module: str, name: str) -> Any:
    return vars(importlib.import_module(module))[name]


def _dumps(value: Any, named: Mapping[int, tuple[str, str]]) -> bytes:
    with io.BytesIO() as written:
        _Pickler(written, named).dump(value)
        return written.getvalue()


def _name_more(
    program: Any, named: dict[int, tuple[str, str]], by_value: Iterable[ModuleType]
) -> bool:
    """Whether something of what cannot be sent is a global of a module, to be had from there."""
    local = {"__main__", *(module.__name__ for module in by_value)}
    found = False
    for path in _culprits(program, (), _DEEPEST, set(), named):
        for _, value in path:
            place = None if isinstance(value, FunctionType) else _holder(value, local)
            if place is not None and id(value) not in named:
                named[id(value)] = place
                found = True
                break
    return found


def _holder(value: Any, local: Container[str]) -> tuple[str, str] | None:
    """The module and the name under which another process can import this very thing."""
    for name, module in sys.modules.copy().items():
        if name in local or not issubclass(type(module), ModuleType):
            continue
        held = object.__getattribute__(module, "__dict__")
        if getattr(held.get("__spec__"), "loader", None) is None:
            continue  # A script, or a saga's file: no other process imports them.
        for key, entry in held.copy().items():
            if entry is value:
                return name, key
    return None


def _refusal(program: Any, step: str, error: Exception) -> DefinitionError:
    label = f'step "{step}"' if step else f'"{getattr(program, "__qualname__", program)}"'
    hint = (
        "Create it inside the program, or in a module beside the saga's file and import it from "
        "there."
    )
    for path in _culprits(program, (), _DEEPEST, set(), {}):
        # Functions on the way are only how it is reached.
        named = [step for step in path if not isinstance(step[1], FunctionType)] or [path[-1]]
        what = f"captures {_described(*named[0])}"
        if len(named) > 1:
            what += f", which holds {_described(*named[-1])}"
        return DefinitionError(
            f"The program of {label} {what}, which cannot be sent to a worker process.", hint=hint
        )
    return DefinitionError(
        f"The program of {label} cannot be sent to a worker process: {error}.", hint=hint
    )


def _described(name: str, value: Any) -> str:
    return f'"{name}" (a {type(value).__module__}.{type(value).__qualname__})'


def _culprits(
    value: Any,
    path: tuple[tuple[str, Any], ...],
    depth: int,
    seen: set[int],
    named: Mapping[int, tuple[str, str]],
) -> Iterator[tuple[tuple[str, Any], ...]]:
    """The ways from a value that cannot be pickled to the innermost things that cannot be."""
    if id(value) in seen or depth < 0 or _can_go(value, named):
        return
    seen.add(id(value))
    deeper = [
        culprit
        for part, inner in _parts(value)
        for culprit in _culprits(inner, (*path, (part, inner)), depth - 1, seen, named)
    ]
    if deeper:
        yield from deeper
    elif path:
        yield path


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """What pickling a value by value takes along, each under the name a reader knows it by."""
    kind = type(value)  # `isinstance` would ask a proxy what it stands for
    if issubclass(kind, functools.partial):
        yield from (
            ("the partial's function", value.func),
            *((f"argument {index}", entry) for index, entry in enumerate(value.args)),
            *value.keywords.items(),
        )
    elif issubclass(kind, MethodType):
        yield "self", value.__self__
        yield from _parts(value.__func__)
    elif issubclass(kind, FunctionType):
        yield from _function_parts(value)
    elif issubclass(kind, dict):
        yield from ((f"[{key!r}]", entry) for key, entry in value.items())
    elif issubclass(kind, list | tuple | set | frozenset):
        yield from ((f"[{index}]", entry) for index, entry in enumerate(value))
    elif issubclass(kind, type):
        yield from ((name, entry) for name, entry in vars(value).items() if callable(entry))
    elif not issubclass(kind, ModuleType):
        with suppress(AttributeError):  # of a class with slots alone
            yield from object.__getattribute__(value, "__dict__").items()


def _function_parts(function: FunctionType) -> Iterator[tuple[str, Any]]:
    code = function.__code__
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=False):
        try:
            yield name, cell.cell_contents
        except ValueError:
            continue  # Not assigned yet.
    for name in sorted(referred_names(code)):
        if name in function.__globals__:
            yield name, function.__globals__[name]
    yield from zip(code.co_varnames, function.__defaults__ or (), strict=False)
    yield from (function.__kwdefaults__ or {}).items()


def _can_go(value: Any, named: Mapping[int, tuple[str, str]]) -> bool:
    try:
        _dumps(value, named)
    except Exception:  # noqa: BLE001 - whatever a user's object raises, it cannot go
        return False
    return True
