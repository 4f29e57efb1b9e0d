"""`${...}` in a text: parameters, the environment, outputs of steps. `$${` is a `${` of its own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct, field

from alma.core.definition import INPUTS as GIVEN
from alma.core.secret import Secret, unwrap
from alma.errors import DefinitionError
from alma.saga.yaml.nodes import Scalar, Source, nearest
from alma.saga.yaml.scalars import scalar, spoken
from alma.steps.step import Output

PARAMS: Final = "params"
ENV: Final = "env"
INPUTS: Final = "inputs"
"""What the saga is given by the one that it is a step of, unless a step is named so."""
RESERVED: Final = (PARAMS, ENV)
"""What a step cannot be named: a reference to it would mean another thing."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Scope(Struct, kw_only=True):
    """What references mean. `parameters` are JSON and `Secret`s, `steps` all names of the saga.

    `used` counts the parameters and variables that were put in; `secrets` are all that were seen.
    """

    source: Source
    parameters: Mapping[str, Any] = field(default_factory=dict)
    steps: Sequence[str] = ()
    owner: object = None
    used: int = 0
    secrets: list[Secret] = field(default_factory=list)

    def value(self, node: Scalar, *, outputs: bool = False) -> Any:
        """What a scalar stands for: a value of its own, or what it refers to.

        One that is a reference and nothing else is that value, with its type. In a text a secret
        makes all of it one. `outputs`: whether it may be an output of a step.
        """
        plain = scalar(self.source, node)
        if not isinstance(plain, str) or "$" not in plain:
            return plain
        parts = list(_parts(self.source, node))
        if len(parts) == 1 and isinstance(parts[0], Reference):
            return self._meant(parts[0], node, alone=True, outputs=outputs)
        values = [
            one if isinstance(one, str) else self._in_text(one, node, outputs=outputs)
            for one in parts
        ]
        text = "".join(str(unwrap(one)) for one in values)
        if any(isinstance(one, Secret) for one in values):
            return self._seen(Secret(text))
        return text

    def _in_text(self, reference: Reference, node: Scalar, *, outputs: bool) -> str | Secret:
        found = self._meant(reference, node, alone=False, outputs=outputs)
        value = unwrap(found)
        if isinstance(value, list | dict) or value is None:
            raise self.error(
                reference, node, f"{reference} is {spoken(value)}, and cannot stand in a text."
            )
        text = str(value).lower() if isinstance(value, bool) else str(value)
        return Secret(text) if isinstance(found, Secret) else text

    def _meant(self, reference: Reference, node: Scalar, *, alone: bool, outputs: bool) -> Any:
        root, _, rest = reference.path.partition(".")
        if root == ENV:
            return self._variable(reference, node, rest)
        if root == PARAMS:
            return self._parameter(reference, node, rest)
        step = max(
            (one for one in self.steps if reference.path.startswith(f"{one}.")),
            key=len,
            default="",
        )
        name = reference.path.removeprefix(f"{step}.")
        if not step and root == INPUTS and rest and outputs:
            step, name = GIVEN, rest
        if not step or not name:
            raise self._unknown(reference, node, root)
        if not outputs:
            raise self.error(
                reference,
                node,
                f"{reference} is an output of a step, which only a run knows: it stands under "
                "inputs.",
                "A request takes it from there as {inputs.name}, a program as config.",
            )
        if not alone:
            told = "what the saga is given" if step == GIVEN else "an output of a step"
            raise self.error(
                reference,
                node,
                f"{reference} is {told}, which only a run knows: it stands alone.",
                "Give it as an input of its own, and put the text together in the step.",
            )
        return Output(step, name, self.owner)

    def _unknown(self, reference: Reference, node: Scalar, root: str) -> DefinitionError:
        if root in self.steps:
            message = f"{reference} names no output."
            return self.error(reference, node, message, f"Write ${{{root}.NAME}}.")
        if root in (INPUTS, "outputs"):
            return self.error(
                reference,
                node,
                f"{reference}: no step is named {root}.",
                f"In a request it is {{{reference.path}}}, without the $.",
            )
        return self.error(
            reference,
            node,
            f"{reference}: no step is named {root}.",
            nearest(root, [*self.steps, *RESERVED]),
        )

    def _variable(self, reference: Reference, node: Scalar, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise self.error(reference, node, f"{reference} names no variable.")
        if name not in os.environ:
            raise self.error(
                reference,
                node,
                f"the environment variable {name} is not set.",
                "A parameter can have a default: see params.",
            )
        self.used += 1
        return os.environ[name]

    def _parameter(self, reference: Reference, node: Scalar, path: str) -> Any:
        name, *keys = path.split(".")
        if name not in self.parameters:
            message = f"{reference}: there is no parameter {name}."
            raise self.error(reference, node, message, nearest(name, self.parameters))
        found = self.parameters[name]
        for key in keys:
            inner = unwrap(found)
            entry = _entry(inner, key)
            if entry is None:
                has = ", ".join(inner) if isinstance(inner, dict) else ""
                raise self.error(
                    reference,
                    node,
                    f"{reference}: the parameter has no {key}.",
                    f"It has: {has}." if has and not isinstance(found, Secret) else "",
                )
            found = Secret(entry[0]) if isinstance(found, Secret) else entry[0]
        self.used += 1
        return self._seen(found)

    def _seen(self, value: Any) -> Any:
        if isinstance(value, Secret):
            self.secrets.append(value)
        return value

    def error(
        self, reference: Reference, node: Scalar, message: str, hint: str = ""
    ) -> DefinitionError:
        """At the reference itself, where its column can be told."""
        at = self.source.at(node.start_mark, _over(node, reference.start))
        return DefinitionError(f"{at}: {message}", hint=hint)


class Reference(Struct, frozen=True):
    """`${path}`, and where in the text it begins."""

    path: str
    start: int

    def __str__(self) -> str:
        return f"${{{self.path}}}"


def _parts(source: Source, node: Scalar) -> Iterator[str | Reference]:
    text, at, plain = node.value, 0, ""
    while (found := text.find("${", at)) >= 0:
        if found > at and text[found - 1] == "$":
            plain += text[at : found - 1] + "${"
            at = found + 2
            continue
        end = text.find("}", found)
        path = text[found + 2 : end] if end >= 0 else ""
        if not path.strip() or "{" in path:
            where = source.at(node.start_mark, _over(node, found))
            raise DefinitionError(
                f"{where}: a reference begins here, and is none.",
                hint="Write ${step.output}, ${params.NAME} or ${env.NAME}; $${ for the text ${.",
            )
        if plain + text[at:found]:
            yield plain + text[at:found]
        yield Reference(path.strip(), found)
        at, plain = end + 1, ""
    if plain + text[at:]:
        yield plain + text[at:]


def _over(node: Scalar, start: int) -> int:
    """How far after the node's beginning that is, where its text is as it is written."""
    begin, end = node.start_mark, node.end_mark
    quotes = 0 if node.style is None else 2
    same = begin.line == end.line and end.column - begin.column == len(node.value) + quotes
    return start + quotes // 2 if same else 0


def _entry(value: Any, key: str) -> tuple[Any] | None:
    if isinstance(value, dict):
        return (value[key],) if key in value else None
    if isinstance(value, list) and key.isdecimal() and int(key) < len(value):
        return (value[int(key)],)
    return None
