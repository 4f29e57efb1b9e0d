"""From a TARGET (`file.py[:name]` or `module:name`) to a saga; starts and writes nothing."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from msgspec import Struct

from alma.errors import DefinitionError
from alma.saga.arguments import place_of
from alma.saga.python_file import load_file, load_module
from alma.saga.saga import Saga


class LoadedSaga(Struct, frozen=True, kw_only=True):
    """A saga and where it came from.

    `origin` loads it again (`/path/saga.py:name`); `modules` are what a worker cannot import.
    """

    saga: Saga
    origin: str
    modules: tuple[ModuleType, ...]


def load_saga(target: str, *, wanted: str = "") -> LoadedSaga:
    """The saga that TARGET means; DefinitionError, in one sentence, where there is none.

    `wanted` is which one of several in a file, as saga and stack ("shop/dev").
    """
    where, name = _split(target)
    if _is_module(where):
        module, handed = load_module(where)
        file = getattr(module, "__file__", None)
        origin = where if module.__package__ or not file else str(file)
    else:
        module, handed = load_file(where)
        origin = str(place_of(where))
    name, saga = _choose(where, name, module, handed, wanted)
    return LoadedSaga(saga=saga, origin=f"{origin}:{name}" if name else origin, modules=(module,))


def absolute(target: str) -> str:
    """The same TARGET from any directory; a module is found where Python finds it."""
    where, name = _split(target)
    if _is_module(where):
        return target
    path = str(place_of(where))
    return f"{path}:{name}" if name else path


def _split(target: str) -> tuple[str, str]:
    if not target.strip():
        raise DefinitionError("TARGET is empty.", hint="Give the saga's file (path/to/saga.py).")
    where, _, name = target.rpartition(":")
    if not where or Path(target).exists():
        return target, ""
    if not name.isidentifier():
        raise DefinitionError(
            f"{name!r} in {target!r} is no name.", hint="Write file.py:name or module:name."
        )
    return where, name


def _is_module(where: str) -> bool:
    return not where.endswith(".py") and "/" not in where and not Path(where).exists()


def _choose(
    where: str, name: str, module: ModuleType, handed: Saga | None, wanted: str
) -> tuple[str, Saga]:
    found = {key: value for key, value in vars(module).items() if isinstance(value, Saga)}
    names = ", ".join(found)
    if name:
        if name in found:
            return name, found[name]
        if name in vars(module):
            kind = type(vars(module)[name]).__name__
            raise DefinitionError(
                f"{name} in {where} is of type {kind}, no Saga.", hint=_has(names)
            )
        raise DefinitionError(f"{where} has no {name}.", hint=_has(names))
    if handed is not None:
        return next((key for key, value in found.items() if value is handed), ""), handed
    if len({id(saga) for saga in found.values()}) > 1:
        for key, saga in found.items():
            if f"{saga.name}/{saga.stack}" == wanted:
                return key, saga
        raise DefinitionError(
            f"{where} has several sagas: {names}.", hint=f"Name one: {where}:{next(iter(found))}"
        )
    if not found:
        raise DefinitionError(
            f"{where} has no Saga at module level.",
            hint='Define one outside of functions and `if __name__`: saga = Saga("name")',
        )
    return next(iter(found.items()))


def _has(names: str) -> str:
    return f"Its sagas: {names}." if names else 'It has no Saga; define one: saga = Saga("name")'
