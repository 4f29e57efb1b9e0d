"""What a function that makes a saga takes: its parameters, by its annotations."""

from __future__ import annotations

import collections.abc
import enum
import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from alma.core.secret import Secret, mask
from alma.core.validation import NotJsonError, check_json
from alma.errors import DefinitionError
from alma.saga.saga import Saga


def as_json(value: Any, where: str = "it") -> Any:
    """A value as the journal can keep it: JSON, and `Secret`s. Raises NotJsonError."""
    return check_json(_simple(value), where)


def _simple(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _simple(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_simple(entry) for entry in value]
    return value


Making = Callable[..., Saga]

_SCALARS: Final = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    Path: "a path",
    Secret: "a secret",
    type(None): "null",
}
_LISTS: Final = (list, tuple, collections.abc.Sequence)
_DICTS: Final = (dict, collections.abc.Mapping)


class Parameter(Struct, frozen=True, kw_only=True):
    """One parameter: `type` is its annotation, `default` is none where it is `required`."""

    name: str
    type: Any
    required: bool
    default: Any = None
    by_position: bool = False

    @property
    def secret(self) -> bool:
        """Whether its value, or a part of it, is a `Secret`."""
        return holds_secrets(self.type)

    @property
    def bounded(self) -> bool:
        """Whether its author has said more of it than a type: `Annotated[int, Meta(ge=1)]`."""
        return typing.get_origin(self.type) is typing.Annotated

    @property
    def spelled(self) -> str:
        """Its type, as its author has written it."""
        return _spelled(self.type)

    @property
    def shown_default(self) -> str:
        """Its default in words; a secret one as a mask."""
        default = mask(self.default_as_json)
        return default if isinstance(default, str) else repr(default)

    @property
    def default_as_json(self) -> Any:
        """As the journal keeps it; None for what it cannot keep."""
        try:
            return as_json(self.default)
        except NotJsonError:
            return None

    @property
    def expected(self) -> str:
        """What has to be given, in words."""
        return _in_words(self.type)


def makes_a_saga(function: object) -> bool:
    """Whether its annotation says that it returns a Saga."""
    said = getattr(_inner(function), "__annotations__", {}).get("return")
    if isinstance(said, str):
        return said.rpartition(".")[2] == Saga.__name__
    return isinstance(said, type) and issubclass(said, Saga)


def check_making(where: str, function: object) -> None:
    """Refuse what cannot be called for a saga; `where` is how an error names it."""
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise DefinitionError(f"{where} is async, and a saga is made by a plain function.")
    if inspect.isgeneratorfunction(function):
        raise DefinitionError(f"{where} is a generator, and returns no Saga.")
    said = getattr(_inner(function), "__annotations__", {})
    if "return" in said and not makes_a_saga(function):
        raise DefinitionError(
            f"{where} returns {_spelled(said['return'])}, no Saga.",
            hint="Annotate it with -> Saga if it does.",
        )


def parameters_of(where: str, function: Making) -> tuple[Parameter, ...]:
    """In their order. DefinitionError for what no command line can give."""
    try:
        hints = typing.get_type_hints(_inner(function), include_extras=True)
    except Exception as error:  # an annotation may be any expression
        raise DefinitionError(f"An annotation of {where} cannot be read: {error}.") from error
    found = []
    for name, one in inspect.signature(function).parameters.items():
        if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD):
            stars = "*" if one.kind is one.VAR_POSITIONAL else "**"
            raise DefinitionError(
                f"{where} takes {stars}{name}, which cannot be given by name.",
                hint="Write each parameter out, or take a list or a dict.",
            )
        said = hints.get(name, _of_default(one))
        parameter = Parameter(
            name=name,
            type=said,
            required=one.default is one.empty,
            default=None if one.default is one.empty else one.default,
            by_position=one.kind is one.POSITIONAL_ONLY,
        )
        if not _can_be_given(said):
            raise DefinitionError(
                f"The parameter {name} of {where} is of type {parameter.spelled}, which no "
                "command line can give.",
                hint="Use str, int, float, bool, Literal, Enum, Path, Secret, and lists and dicts "
                "of these.",
            )
        found.append(parameter)
    return tuple(found)


def holds_secrets(said: Any) -> bool:
    """Whether values of this type are or hold `Secret`s."""
    return said is Secret or any(map(holds_secrets, typing.get_args(said)))


def is_text(said: Any) -> bool:
    """Whether what is written for it is taken as it stands, and not as YAML."""
    origin = typing.get_origin(said)
    if origin is typing.Annotated or _is_union(origin):
        return all(map(is_text, _types_in(said)))
    return (origin or said) not in (*_LISTS, *_DICTS)


def _inner(function: object) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.unwrap(function) if callable(function) else function


def _of_default(one: inspect.Parameter) -> Any:
    """Without an annotation it is what its default is."""
    kind = type(one.default)
    return kind if kind in _SCALARS and one.default is not None and kind is not type else str


def _can_be_given(said: Any) -> bool:
    origin = typing.get_origin(said)
    if origin is typing.Literal:
        return all(isinstance(one, str | int) or one is None for one in typing.get_args(said))
    if origin is typing.Annotated or _is_union(origin):
        return all(map(_can_be_given, _types_in(said)))
    if origin in _DICTS:
        key, value = typing.get_args(said)
        return key is str and _can_be_given(value)
    if origin in _LISTS:
        return all(one is ... or _can_be_given(one) for one in typing.get_args(said))
    if isinstance(said, type) and issubclass(said, enum.Enum):
        kinds = {type(one.value) for one in said}
        return kinds in ({str}, {int})
    return said in _SCALARS or said in (list, dict)


def _is_union(origin: Any) -> bool:
    return origin in (typing.Union, types.UnionType)


def _types_in(said: Any) -> tuple[Any, ...]:
    parts = typing.get_args(said)
    return parts[:1] if typing.get_origin(said) is typing.Annotated else parts


def _in_words(said: Any) -> str:
    origin, parts = typing.get_origin(said), typing.get_args(said)
    if origin is typing.Literal:
        return f"one of {', '.join(str(one) for one in parts)}"
    if origin is typing.Annotated:
        return _in_words(parts[0])
    if _is_union(origin):
        return " or ".join(map(_in_words, parts))
    if origin in _DICTS:
        return f"a mapping of names, each to {_in_words(parts[1])}"
    if origin in _LISTS:
        return f"a list, each entry {_in_words(parts[0])}"
    if isinstance(said, type) and issubclass(said, enum.Enum):
        return f"one of {', '.join(str(one.value) for one in said)}"
    return _SCALARS.get(said) or ("a list" if said is list else "a mapping")


def _spelled(said: Any) -> str:
    origin, parts = typing.get_origin(said), typing.get_args(said)
    if origin is typing.Annotated:
        return _spelled(parts[0])
    if _is_union(origin):
        return " | ".join(map(_spelled, parts))
    if origin is typing.Literal:
        return " | ".join(map(repr, parts))
    if origin is not None:
        return f"{_spelled(origin)}[{', '.join(map(_spelled, parts))}]"
    if said is type(None):
        return "None"
    if said is ...:
        return "..."
    return getattr(said, "__name__", None) or str(said)
