"""The `params` of a saga in YAML: the same parameters as those of a Python function."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Mapping as Map
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET

from alma.core.secret import Secret
from alma.errors import DefinitionError
from alma.saga.given_values import convert
from alma.saga.parameters import Parameter
from alma.saga.yaml.mappings import entries
from alma.saga.yaml.nodes import Mapping, Node, Scalar, Sequence, Source, nearest
from alma.saga.yaml.reader import Reader
from alma.saga.yaml.references import Scope
from alma.saga.yaml.scalars import scalar
from alma.steps.form import Anything, Flag, Key, Number, Several, Text, Whole

TYPES: Final = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "path": Path,
    "array": list,
    "object": dict,
}
"""The words of Pulumi's own project files, and a path."""

NESTED: Final = {
    "type": Key(Text(choices=tuple(TYPES)), "What it is; a text where nothing is said."),
    "secret": Key(Flag(), "A secret text: given from the environment, a file or stdin alone."),
    "enum": Key(Several(Anything()), "The values that it may have."),
    "minimum": Key(Number(), "The least number."),
    "maximum": Key(Number(), "The greatest number."),
    "minLength": Key(Whole(), "The fewest characters or entries."),
    "maxLength": Key(Whole(), "The most characters or entries."),
    "pattern": Key(Text(), "A regular expression that is found in the text."),
}
"""Of an entry of an array or an object as well."""

KEYS: Final = {
    **NESTED,
    "items": Key(Anything(), "What each entry of an array or an object is."),
    "default": Key(Anything(), "Its value where none is given; without one it is required."),
    "description": Key(Text(), "What it is for."),
}

_BOUNDS: Final = {
    "minimum": ("numbers", (int, float)),
    "maximum": ("numbers", (int, float)),
    "minLength": ("texts, arrays and objects", (str, list, dict)),
    "maxLength": ("texts, arrays and objects", (str, list, dict)),
    "pattern": ("texts", (str,)),
}
"""What each is a bound of."""
_META: Final = {
    "minimum": "ge",
    "maximum": "le",
    "minLength": "min_length",
    "maxLength": "max_length",
    "pattern": "pattern",
}


def read_params(source: Source, node: Node | None) -> tuple[Parameter, ...]:
    """In the file's order. DefinitionError for a type that is none, or a default of another one."""
    if node is None:
        return ()
    if not isinstance(node, Mapping):
        raise source.error(node, "params must be a mapping of names, each to what it is.")
    return tuple(
        _parameter(source, name, key_node, value)
        for name, (key_node, value) in entries(source, node).items()
    )


def _parameter(source: Source, name: str, key_node: Node, node: Node) -> Parameter:
    if not name.isidentifier():
        raise source.error(
            key_node,
            f"{name} cannot be the name of a parameter.",
            "Use letters, digits and '_', a letter at first.",
        )
    said = _described(source, node, KEYS, f"the parameter {name}")
    kind = _type_of(source, said, f"the parameter {name}")
    default = said.get("default", (None, UNSET))[1]
    if default is None:
        kind = kind | None
    parameter = Parameter(name=name, type=kind, required=default is UNSET)
    if default is UNSET or default is None:
        return parameter
    at = said["default"][0]
    if parameter.secret:
        raise source.error(
            at,
            f"the default of the secret {name} stands in plain, for whoever reads the file.",
            f"Leave it out, and give -p {name}=@env:NAME.",
        )
    if kind is Path:
        default = str(Path(source.directory, str(default)))
    try:
        found = convert(parameter, default, source.name)
    except DefinitionError as error:
        raise source.error(
            at, f"the default of {name} must be {parameter.expected}.", error.hint
        ) from error
    return Parameter(name=name, type=kind, required=False, default=found)


def _described(
    source: Source, node: Node, keys: Map[str, Key], what: str
) -> dict[str, tuple[Node, Any]]:
    """By key, its node and its value. Nothing in it refers to anything: it says what is given."""
    if isinstance(node, Scalar) and scalar(source, node) is None:
        return {}  # `region:` alone is a text
    if not isinstance(node, Mapping):
        raise source.error(node, f"{what} must be a mapping.", "Write it as {type: string}.")
    found: dict[str, tuple[Node, Any]] = {}
    reader = Reader(Scope(source=source))
    for key, (key_node, value) in entries(source, node, 1).items():
        if key not in keys:
            raise source.error(key_node, f"{what} has no key {key}.", nearest(key, keys))
        if key == "items":
            found[key] = (value, value)
            continue
        found[key] = (value, reader.read(keys[key].shape, value, key, 2))
    return found


def _type_of(source: Source, said: dict[str, tuple[Node, Any]], what: str) -> Any:
    word = said["type"][1] if "type" in said else "string"
    kind: Any = TYPES[word]
    if "items" in said:
        if kind not in (list, dict):
            raise source.error(said["items"][0], f"{what} has items, and is no array or object.")
        entry = _described(source, said["items"][0], NESTED, f"an entry of {what}")
        of: Any = _type_of(source, entry, f"an entry of {what}")
        kind = types.GenericAlias(kind, of if kind is list else (str, of))
    if "enum" in said:
        kind = _enum(source, said["enum"], what)
    if "secret" in said and said["secret"][1]:
        if kind is not str:
            raise source.error(
                said["secret"][0],
                f"{what} is a secret and no string.",
                "Secrets in an array or an object are said of its items.",
            )
        kind = Secret
    return _bounded(source, said, kind, what)


def _bounded(source: Source, said: dict[str, tuple[Node, Any]], kind: Any, what: str) -> Any:
    bounds = {}
    for key, (node, value) in said.items():
        if key not in _BOUNDS:
            continue
        word, kinds = _BOUNDS[key]
        if kind not in kinds and typing.get_origin(kind) not in kinds:
            told = next((name for name, one in TYPES.items() if one is kind), "another type")
            raise source.error(node, f"{what}: {key} is of {word}, and it is a {told}.")
        if key == "pattern":
            try:
                re.compile(value)
            except re.error as error:
                raise source.error(node, f"pattern is no regular expression: {error}.") from error
        elif key.endswith("Length") and value < 0:
            raise source.error(node, f"{key} must be 0 or more.")
        bounds[_META[key]] = value
    return Annotated[kind, msgspec.Meta(**bounds)] if bounds else kind


def _enum(source: Source, said: tuple[Node, Any], what: str) -> Any:
    node, values = said
    if not isinstance(node, Sequence) or not values:
        raise source.error(node, f"{what} may have no value.")
    if not all(isinstance(one, str) for one in values) and not all(
        type(one) is int for one in values
    ):
        raise source.error(node, f"{what}: its values must all be texts, or all be whole numbers.")
    return Literal[tuple(values)]
