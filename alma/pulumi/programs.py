"""Programs as bytes for a worker process, and what is wrong with one that cannot be sent."""

from __future__ import annotations

import functools
import importlib
import io
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

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
    other modules by name, so a worker must be able to import them. Raises `DefinitionError` that
    names what cannot be sent, and the step.
    """
    with ExitStack() as registered:
        for module in by_value:
            if sys.modules.get(module.__name__) is not module:
                continue  # Known by no name, so cloudpickle takes it by value anyway.
            cloudpickle.register_pickle_by_value(module)
            registered.callback(cloudpickle.unregister_pickle_by_value, module)
        try:
            return _dumps(program)
        except Exception as error:
            raise _refusal(program, step, error) from error


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no type hints
    """cloudpickle's, with lazy modules by their name and with the names of source files."""

    def reducer_override(self, obj: Any) -> Any:
        # Nothing is asked of a lazy module: reading an attribute would load it.
        kind = type(obj)
        if issubclass(kind, ModuleType) and kind is not ModuleType:
            name = module_name(obj)
            # The SDKs' modules of resources are of a class of their own until they are used,
            # which cloudpickle's table of exact types does not know.
            return (importlib.import_module, (name,)) if name in sys.modules else NotImplemented
        if kind is CodeType:
            # cloudpickle 3.1.3 writes "<dynamic-code>" for the file, and no traceback in a
            # worker would tell the user's line. `CodeType` takes the file as its eleventh.
            make, arguments = self.dispatch_table[CodeType](obj)
            return make, (*arguments[:10], "".join(obj.co_filename), *arguments[11:])
        return super().reducer_override(obj)


def _dumps(value: Any) -> bytes:
    with io.BytesIO() as written:
        _Pickler(written).dump(value)
        return written.getvalue()


def _refusal(program: Any, step: str, error: Exception) -> DefinitionError:
    label = f'step "{step}"' if step else f'"{getattr(program, "__qualname__", program)}"'
    hint = "Create it inside the program."
    for path in _culprits(program, (), _DEEPEST, set()):
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
    value: Any, path: tuple[tuple[str, Any], ...], depth: int, seen: set[int]
) -> Iterator[tuple[tuple[str, Any], ...]]:
    """The ways from a value that cannot be pickled to the innermost things that cannot be."""
    if id(value) in seen or depth < 0 or _can_go(value):
        return
    seen.add(id(value))
    deeper = [
        culprit
        for part, inner in _parts(value)
        for culprit in _culprits(inner, (*path, (part, inner)), depth - 1, seen)
    ]
    if deeper:
        yield from deeper
    elif path:
        yield path


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """What pickling a value by value takes along, each under the name a reader knows it by."""
    if isinstance(value, functools.partial):
        yield from (
            ("the partial's function", value.func),
            *((f"argument {index}", entry) for index, entry in enumerate(value.args)),
            *value.keywords.items(),
        )
    elif isinstance(value, MethodType):
        yield "self", value.__self__
        yield from _parts(value.__func__)
    elif isinstance(value, FunctionType):
        yield from _function_parts(value)
    elif isinstance(value, dict):
        yield from ((f"[{key!r}]", entry) for key, entry in value.items())
    elif isinstance(value, list | tuple | set | frozenset):
        yield from ((f"[{index}]", entry) for index, entry in enumerate(value))
    elif isinstance(value, type):
        yield from ((name, entry) for name, entry in vars(value).items() if callable(entry))
    elif not isinstance(value, ModuleType):
        yield from getattr(value, "__dict__", {}).items()


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


def _can_go(value: Any) -> bool:
    try:
        _dumps(value)
    except Exception:  # noqa: BLE001 - whatever a user's object raises, it cannot go
        return False
    return True
