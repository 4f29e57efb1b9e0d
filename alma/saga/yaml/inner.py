"""A saga's file that is a step of another one: found, given its parameters, and made.

It is read with the file around it. Where another step gives the names it is made for, that is done
by the run, of what was read.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from collections.abc import Mapping as Map
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import yaml

from alma.core.redaction import Redactor
from alma.errors import DefinitionError
from alma.saga.given_values import convert
from alma.saga.parameters import Parameter
from alma.saga.saga import Saga
from alma.saga.yaml.mappings import entries
from alma.saga.yaml.nodes import Mapping, Node, Scalar, Source, nearest
from alma.saga.yaml.reader import Reader
from alma.saga.yaml.references import Scope
from alma.saga.yaml.tables import PARAMS, STEPS
from alma.steps.by_path import ByPath
from alma.steps.saga.items import items_of
from alma.steps.step import Output

SUFFIXES: Final = (".yaml", ".yml")
DEEPEST: Final = 10
"""Files within each other."""
SAGA, FOR_EACH, ITEM = "saga", "for_each", "item"

_PLAIN: Final = "Give it by a parameter with secret: true, or as {secret: ...}."

Found = Map[str, tuple[Node, Node]]


class OpenFile(Protocol):
    """A file that was read: `alma.saga.yaml.saga_file.SagaFile`, which this one is a part of."""

    @property
    def source(self) -> Source:
        """Its text."""
        ...

    @property
    def path(self) -> Path:
        """Where it is."""
        ...

    @property
    def node(self) -> Mapping:
        """All of it."""
        ...

    @property
    def keys(self) -> Found:
        """What stands at its top level."""
        ...

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Its own."""
        ...

    @property
    def within(self) -> tuple[str, ...]:
        """The files that it is a part of, the outermost first."""
        ...

    def saga(self, values: Map[str, Any], redact: Redactor, read: int = 0) -> Saga:
        """See there."""
        ...


@dataclass(frozen=True, kw_only=True)
class EachFile:
    """Makes the saga of a file for a name, which its parameter `item` is.

    `made` are those that are known by now, `written` a digest of what the file says: a step made by
    this is another one when it changes, as with a function.
    """

    file: OpenFile
    given: Map[str, Any]
    item: str = ""
    written: str = ""
    made: dict[str, Saga] = field(default_factory=dict)

    def __call__(self, name: str) -> Saga:
        """DefinitionError, in the file's own line, for what is wrong there."""
        return self.made[name] if name in self.made else self.make(name)

    def make(self, name: str = "", read: int = 0) -> Saga:
        """`read` are the values that the files around it have; without a name, of none."""
        values, redact = dict(self.given), Redactor()
        redact.learn(self.given)
        if self.item:
            parameter = next(one for one in self.file.parameters if one.name == self.item)
            values[self.item] = convert(parameter, name, self.file.source.name, lax=True)
        return self.file.saga(values, redact, read)


def add_inner(
    file: OpenFile,
    reader: Reader,
    found: Found,
    arguments: dict[str, Any],
    opened: Callable[..., OpenFile],
) -> None:
    """Put what `Saga.add_saga` takes in the place of what the file names."""
    of, error = arguments[SAGA], reader.source.error
    item, params = arguments.pop(ITEM, None), arguments.pop(PARAMS, {})
    if isinstance(of, ByPath):
        for key in (ITEM, PARAMS):
            if key in found:
                raise error(
                    found[key][0],
                    f"{key} is of a saga's file, and {of.path} is a function.",
                    "With for_each it is called with each name, else with nothing.",
                )
        return
    each = FOR_EACH in arguments
    if each and item is None:
        hint = "item: NAME is the parameter of the file that is each name."
        raise error(found[FOR_EACH][0], "for_each of a file needs item.", hint)
    if item is not None and not each:
        raise error(found[ITEM][0], "item is of for_each, and there is none.")
    inner = _opened(file, reader, found[SAGA][1], of, opened)
    given = _given(inner, reader, found, params, item)
    written = hashlib.sha256(yaml.serialize(inner.node).encode()).hexdigest()
    maker = EachFile(file=inner, given=given, item=item or "", written=written)
    if not each:
        arguments[SAGA] = _made(maker, "", reader)
        return
    arguments[SAGA] = maker
    if isinstance(arguments[FOR_EACH], Output):
        _look_below(inner, opened, set())
        return
    at = found[FOR_EACH][1]
    where = f'Step "{arguments["name"]}"'
    for name in reader.made(at, lambda: items_of(where, arguments[FOR_EACH])):
        parameter = next(one for one in inner.parameters if one.name == item)
        _converted(reader, at, parameter, name, inner.source.name, lax=True)
        maker.made[name] = _made(maker, name, reader)


def _made(maker: EachFile, name: str, reader: Reader) -> Saga:
    """What is read of it counts as read of the file around it: many could be billions."""
    saga = maker.make(name, reader.source.read)
    reader.source.read = maker.file.source.read
    return saga


def _opened(
    file: OpenFile, reader: Reader, node: Node, of: Path, opened: Callable[..., OpenFile]
) -> OpenFile:
    error, source = reader.source.error, reader.source
    if not of.name.endswith(SUFFIXES):
        raise error(
            node,
            "saga must be a saga's file (.yaml), or a function, written module:function.",
            "A saga in Python is named by a function that returns it.",
        )
    beside = os.path.relpath(of, source.directory)
    name = os.path.normpath(Path(source.name).parent / beside)
    chain = (*file.within, os.path.realpath(file.path))
    if os.path.realpath(of) in chain:
        raise error(node, f"the saga {name} would be a part of itself.")
    if len(chain) >= DEEPEST:
        raise error(node, f"sagas' files stand in each other more than {DEEPEST} levels deep.")
    try:
        return opened(name, within=chain)
    except DefinitionError as refused:
        if refused.message.startswith(f"{name}, line "):
            raise
        raise error(node, refused.message) from refused


def _look_below(file: OpenFile, opened: Callable[..., OpenFile], seen: set[str]) -> None:
    """Open what a file names as well that only a run makes: a circle is refused before it."""
    reader = Reader(Scope(source=file.source))
    steps = file.keys[STEPS][1].value if STEPS in file.keys else ()
    for step in steps if isinstance(steps, list) else ():
        found = entries(file.source, step) if isinstance(step, Mapping) else {}
        node = found.get(SAGA, (None, None))[1]
        if not isinstance(node, Scalar) or "$" in node.value or not node.value.endswith(SUFFIXES):
            continue
        inner = _opened(file, reader, node, Path(file.source.directory, node.value), opened)
        if (path := os.path.realpath(inner.path)) not in seen:
            seen.add(path)
            _look_below(inner, opened, seen)


def _given(
    inner: OpenFile, reader: Reader, found: Found, params: Map[str, Any], item: str | None
) -> dict[str, Any]:
    """The parameters, as they are there; DefinitionError for what is missing, unknown, mistyped."""
    error, name = reader.source.error, inner.source.name
    known = {one.name: one for one in inner.parameters}
    if item is not None and item not in known:
        raise error(found[ITEM][1], f"{name} has no parameter {item}.", nearest(item, known))
    values: dict[str, Any] = {}
    for key, value in params.items():
        if key not in known:
            raise error(found[PARAMS][1], f"{name} has no parameter {key}.", nearest(key, known))
        if key == item:
            raise error(found[PARAMS][1], f"{key} is given by for_each already.")
        if isinstance(value, str) and known[key].type in (Path, Path | None):
            value = str(Path(reader.source.directory, value))  # noqa: PLW2901
        values[key] = _converted(reader, found[PARAMS][1], known[key], value, name)
    for one in inner.parameters:
        if one.required and one.name not in values and one.name != item:
            words = f"{name} needs the parameter {one.name}: {one.expected}."
            raise error(found[SAGA][1], words, f"Give it: params: {{{one.name}: ...}}.")
    return values


def _converted(
    reader: Reader, node: Node, parameter: Parameter, value: Any, name: str, *, lax: bool = False
) -> Any:
    try:
        return convert(parameter, value, name, lax=lax)
    except DefinitionError as refused:
        hint = _PLAIN if parameter.secret else refused.hint
        raise reader.source.error(node, refused.message, hint) from refused
