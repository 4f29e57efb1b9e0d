"""From nodes to values, by the shapes that the tables name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from alma.core.secret import Secret
from alma.errors import DefinitionError
from alma.saga.yaml.mappings import entries
from alma.saga.yaml.nodes import Mapping, Node, Scalar, Sequence, nearest
from alma.saga.yaml.references import Scope
from alma.saga.yaml.scalars import spoken
from alma.steps.by_path import ByPath
from alma.steps.form import (
    Anything,
    Either,
    Key,
    Named,
    Place,
    Record,
    Several,
    Shape,
    StepName,
    Values,
)
from alma.steps.step import Output

SECRET: Final = "secret"  # noqa: S105 - a key
PLAIN: Final = "plain"
ESCAPED: Final = "$$secret"
"""A key that is `secret`, and no secret."""


class Reader:
    """Reads what stands at a key. Each error names its line and column."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.source = scope.source

    def record(self, node: Node, keys: dict[str, Key], what: str, level: int = 0) -> dict[str, Any]:
        """A mapping with these keys and no others, by what Python calls them."""
        self.source.count(node, level)
        if not isinstance(node, Mapping):
            raise self._refused(node, f"{what} must be a mapping")
        found: dict[str, Any] = {}
        for name, (key_node, value) in entries(self.source, node, level).items():
            key = keys.get(name)
            if key is None:
                hint = nearest(name, keys)
                raise self.source.error(key_node, f"{what} has no key {name}.", hint)
            found[key.argument or name] = self.read(key.shape, value, name, level + 1)
        for name, key in keys.items():
            if (key.argument or name) in found:
                continue
            if key.required:
                raise self.source.error(node, f"{what} needs {name}.", key.about)
            if key.otherwise:
                found[key.argument or name] = self._taken(key.shape, key.otherwise, node)
        return found

    def read(self, shape: Shape, node: Node, what: str, level: int) -> Any:
        """The value; DefinitionError where it is not of this shape."""
        if isinstance(shape, Either):
            return self.read(self._chosen(shape, node, what), node, what, level)
        if isinstance(shape, Record) and isinstance(node, Mapping):
            arguments = self.record(node, dict(shape.keys), what, level)
            return self.made(node, lambda: shape.make(**arguments))
        self.source.count(node, level)
        if isinstance(shape, Several) and isinstance(node, Sequence):
            return [self.read(shape.of, one, what, level + 1) for one in node.value]
        if isinstance(shape, Values) and isinstance(node, Mapping):
            return self._values(node, level, outputs=shape.outputs)
        if isinstance(shape, Anything):
            return self.anything(node, level)
        if not isinstance(node, Scalar):
            raise self._refused(node, f"{what} must be {shape.words}")
        outputs = isinstance(shape, Several) and shape.outputs
        return self._checked(shape, self.scope.value(node, outputs=outputs), node, what)

    def made(self, node: Node, make: Callable[[], Any]) -> Any:
        """What `make` makes; where it refuses, the place is said."""
        try:
            return make()
        except DefinitionError as error:
            raise self.source.error(node, error.message, error.hint) from error

    def anything(self, node: Node, level: int, *, outputs: bool = False) -> Any:
        """A value of whatever kind, with its references and secrets."""
        self.source.count(node, level)
        if isinstance(node, Scalar):
            return self.scope.value(node, outputs=outputs)
        if isinstance(node, Sequence):
            return [self.anything(one, level + 1) for one in node.value]
        assert isinstance(node, Mapping)  # noqa: S101 - there are three kinds of node
        found = entries(self.source, node, level)
        if found.keys() == {SECRET}:
            return self._secret(found[SECRET][1], level + 1)
        return {
            SECRET if key == ESCAPED else key: self.anything(value, level + 1)
            for key, (_, value) in found.items()
        }

    def _values(self, node: Mapping, level: int, *, outputs: bool) -> dict[str, Any]:
        return {
            key: self.anything(value, level + 1, outputs=outputs)
            for key, (_, value) in entries(self.source, node, level).items()
        }

    def _secret(self, node: Node, level: int) -> Secret:
        """What must not be seen, and does not stand in the file unless it says so."""
        if isinstance(node, Mapping):
            said = entries(self.source, node, level)
            if said.keys() == {PLAIN}:
                return self._kept(self.anything(said[PLAIN][1], level + 1))
        before = self.scope.used
        value = self.anything(node, level)
        if self.scope.used == before:
            raise self.source.error(
                node,
                "a secret stands here in plain, for whoever reads the file.",
                "Keep it elsewhere: ${env.NAME}, or a parameter with secret: true. One that may "
                "be read is written {secret: {plain: ...}}.",
            )
        return self._kept(value)

    def _kept(self, value: Any) -> Secret:
        secret = value if isinstance(value, Secret) else Secret(value)
        self.scope.secrets.append(secret)
        return secret

    def _chosen(self, shape: Either, node: Node, what: str) -> Shape:
        value = self.scope.value(node) if isinstance(node, Scalar) else None
        for one in shape.of:
            if isinstance(node, Mapping) and isinstance(one, Record | Values | Anything):
                return one
            if isinstance(node, Sequence) and isinstance(one, Several | Anything):
                return one
            if isinstance(node, Scalar) and one.fits(value):
                return one
        raise self._refused(node, f"{what} must be {shape.words}")

    def _checked(self, shape: Shape, value: Any, node: Node, what: str) -> Any:
        """What a scalar stands for, if it is of this shape."""
        if isinstance(shape, StepName) and value not in self.scope.steps:
            hint = nearest(str(value), self.scope.steps)
            raise self.source.error(node, f"no step is named {value}.", hint)
        if isinstance(value, Output):
            return value
        if isinstance(shape, Several) and isinstance(value, list):
            return [self._checked(shape.of, one, node, what) for one in value]
        if not shape.fits(value):
            raise self._refused(node, f"{what} must be {shape.words}", value)
        return self._taken(shape, value, node)

    def _taken(self, shape: Shape, value: Any, node: Node) -> Any:
        """A value of this shape, as Python is given it."""
        if isinstance(shape, Place):
            return Path(self.source.directory, value)
        if isinstance(shape, Named):
            return ByPath(value, str(self.source.directory), self.source.at(node.start_mark))
        return value

    def _refused(self, node: Node, message: str, *value: Any) -> DefinitionError:
        if isinstance(node, Scalar):
            found = value[0] if value else self.scope.value(node)
            hint = ""
            if not isinstance(found, str | Secret | list | dict) and node.value:
                hint = f'If the text is meant, write it in quotes: "{node.value}".'
            return self.source.error(node, f"{message}, not {spoken(found)}.", hint)
        got = "a list" if isinstance(node, Sequence) else "a mapping"
        return self.source.error(node, f"{message}, not {got}.")
