"""From a TARGET (`file.py[:name]`, `file.yaml` or `module:name`) to a saga; starts nothing."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Final

from msgspec import Struct

from alma.errors import DefinitionError
from alma.saga.arguments import place_of
from alma.saga.given_values import Arguments
from alma.saga.making import Maker, calling, make_saga
from alma.saga.overrides import overriding
from alma.saga.parameters import (
    Making,
    Parameter,
    check_making,
    makes_a_saga,
    parameters_of,
)
from alma.saga.python_file import load_file, load_module
from alma.saga.saga import Saga

SUFFIXES: Final = (".yaml", ".yml")
"""Of a saga's file that is no Python."""


class LoadedSaga(Struct, frozen=True, kw_only=True):
    """A saga and where it came from.

    `origin` loads it again (`/path/saga.py:name`); `modules` are what a worker cannot import.
    """

    saga: Saga
    origin: str
    modules: tuple[ModuleType, ...]


class Target(Struct, frozen=True, kw_only=True):
    """What a TARGET means, its file executed or read: a saga, or what makes one."""

    name: str
    """By which an error calls it: `shop in infra.py`."""
    origin: str
    modules: tuple[ModuleType, ...]
    saga: Saga | None = None
    maker: Maker | None = None
    parameters: tuple[Parameter, ...] = ()

    def load(self, arguments: Arguments | None = None) -> LoadedSaga:
        """The saga; DefinitionError where it is not given what it takes."""
        arguments = arguments or Arguments()
        if self.maker is None:
            assert self.saga is not None  # noqa: S101 - it is one of the two
            if arguments.names_any:
                raise DefinitionError(
                    f"{self.name} is a Saga, and takes no parameters.",
                    hint="A function that returns a Saga takes them: def shop(region: str) -> Saga",
                )
            saga = self.saga
        else:
            saga = make_saga(self.name, self.maker, self.parameters, arguments)
        saga.overrides = arguments.overrides
        return LoadedSaga(saga=saga, origin=self.origin, modules=self.modules)


def load_saga(target: str, arguments: Arguments | None = None, *, wanted: str = "") -> LoadedSaga:
    """The saga that TARGET means; DefinitionError, in one sentence, where there is none.

    `wanted` is which one of several in a file, as `Saga.target` has it ("shop/dev").
    """
    return open_target(target, arguments, wanted=wanted).load(arguments)


def open_target(target: str, arguments: Arguments | None = None, *, wanted: str = "") -> Target:
    """What TARGET means; a function is not called. Raises as `load_saga` does."""
    where, name = _split(target)
    if where.endswith(SUFFIXES):
        return _in_yaml(where, name)
    with overriding(arguments.overrides if arguments else {}):
        if _is_module(where):
            module, handed = load_module(where)
            file = getattr(module, "__file__", None)
            origin = where if module.__package__ or not file else str(file)
        else:
            module, handed = load_file(where)
            origin = str(place_of(where))
    name, found = _choose(where, name, module, handed, wanted)
    origin = f"{origin}:{name}" if name else origin
    called = f"{name} in {where}" if name else where
    if isinstance(found, Saga):
        return Target(name=called, origin=origin, modules=(module,), saga=found)
    check_making(called, found)
    parameters = parameters_of(called, found)
    return Target(
        name=called,
        origin=origin,
        modules=(module,),
        maker=calling(called, found, parameters),
        parameters=parameters,
    )


def _in_yaml(where: str, name: str) -> Target:
    if name:
        raise DefinitionError(
            f"{where} is one saga, and has no {name}.", hint=f"Leave the name out: {where}"
        )
    from alma.saga.yaml.saga_file import open_file

    file = open_file(where)
    return Target(
        name=where,
        origin=str(file.path),
        modules=(),
        maker=file.saga,
        parameters=file.parameters,
    )


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
    return not where.endswith((".py", *SUFFIXES)) and "/" not in where and not Path(where).exists()


def _choose(
    where: str, name: str, module: ModuleType, handed: Saga | None, wanted: str
) -> tuple[str, Saga | Making]:
    found = {key: value for key, value in vars(module).items() if isinstance(value, Saga)}
    making = _functions(module)
    names = ", ".join((*found, *making))
    if name:
        return name, _named(where, name, module, names)
    if handed is not None:
        return next((key for key, value in found.items() if value is handed), ""), handed
    if len({id(saga) for saga in found.values()}) > 1:
        for key, saga in found.items():
            if saga.target == wanted:
                return key, saga
        raise _several(where, "sagas", list(found))
    if found:
        return next(iter(found.items()))
    if len(making) > 1:
        raise _several(where, "functions that make a saga", list(making))
    if not making:
        raise DefinitionError(
            f"{where} has no Saga at module level.",
            hint='Define one outside of functions and `if __name__`: saga = Saga("name"), or a '
            "function that is annotated to return one: def shop() -> Saga",
        )
    return next(iter(making.items()))


def _named(where: str, name: str, module: ModuleType, names: str) -> Saga | Making:
    if name not in vars(module):
        raise DefinitionError(f"{where} has no {name}.", hint=_has(names))
    value = vars(module)[name]
    if isinstance(value, Saga) or (callable(value) and not isinstance(value, type)):
        return value
    kind = type(value).__name__
    raise DefinitionError(f"{name} in {where} is of type {kind}, no Saga.", hint=_has(names))


def _functions(module: ModuleType) -> dict[str, Making]:
    """Its own functions that say that they make a saga."""
    return {
        key: value
        for key, value in vars(module).items()
        if callable(value)
        and not isinstance(value, type)
        and not key.startswith("_")
        and getattr(value, "__module__", None) == module.__name__
        and makes_a_saga(value)
    }


def _several(where: str, what: str, names: list[str]) -> DefinitionError:
    return DefinitionError(
        f"{where} has several {what}: {', '.join(names)}.", hint=f"Name one: {where}:{names[0]}"
    )


def _has(names: str) -> str:
    return f"Its sagas: {names}." if names else 'It has no Saga; define one: saga = Saga("name")'
