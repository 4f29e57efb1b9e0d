"""What is given to a function that makes a saga: read from where it is, converted, called with.

From a command line (`-p name=value`) come texts, from a file YAML, from the journal the values of
an earlier run. A value that is kept elsewhere is named by `@env:NAME` or `@file:PATH`; what comes
from stdin (`-`) is `Elsewhere` already. Only so is a `Secret` given: what a command line says is
seen by each user of the machine, and what a file says is soon in a repository.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from alma.core.secret import Secret
from alma.core.validation import NotJsonError
from alma.errors import DefinitionError
from alma.saga.elsewhere import Elsewhere, resolved, words
from alma.saga.parameters import Parameter, as_json, is_text

ELSEWHERE: Final = "Keep it elsewhere: -p {name}=@env:NAME, {name}=@file:PATH, or {name}=- (stdin)."


class Arguments(Struct, frozen=True, kw_only=True):
    """What is said on a command line of the saga that is to be loaded.

    `texts` are by name; `files` are files of YAML, of which a later one wins, and the texts over
    all. `known` are what an earlier run was given: JSON and `Secret`s. `stack` and `organization`
    go before what the saga says.
    """

    texts: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[str] = ()
    known: Mapping[str, Any] = field(default_factory=dict)
    stack: str = ""
    organization: str = ""

    @property
    def overrides(self) -> dict[str, str]:
        """What goes before what the saga's file says of itself."""
        said = {"stack": self.stack, "organization": self.organization}
        return {name: value for name, value in said.items() if value}

    @property
    def names_any(self) -> bool:
        """Whether a parameter is given."""
        return bool(self.texts or self.files)


def read_values(
    parameters: Sequence[Parameter], arguments: Arguments, where: str
) -> dict[str, Any]:
    """What is given, by parameter, as its annotation has it; without what is `known`.

    DefinitionError, in a sentence that names the parameter, for what is unknown or mistyped.
    """
    by_name = {parameter.name: parameter for parameter in parameters}
    values: dict[str, Any] = {}
    for file in arguments.files:
        for name, tree in _read_file(file).items():
            parameter = _parameter(by_name, name, where, f" (in {file})")
            values[parameter.name] = _from_tree(parameter, tree, where)
    for name, text in arguments.texts.items():
        parameter = _parameter(by_name, name, where, "")
        values[parameter.name] = _from_text(parameter, text, where)
    return values


def journaled_values(
    parameters: Sequence[Parameter], values: Mapping[str, Any], where: str
) -> dict[str, Any]:
    """The same as the journal keeps them: JSON, and `Secret`s."""
    found: dict[str, Any] = {}
    for one in parameters:
        try:
            found |= {one.name: as_json(values[one.name])} if one.name in values else {}
        except NotJsonError as error:
            raise DefinitionError(
                f"The parameter {one.name} of {where} must be {one.expected}: {error}."
            ) from error
    return found


def convert(parameter: Parameter, value: Any, where: str, *, lax: bool = False) -> Any:
    """The value as the annotation has it; `lax` takes texts for numbers as well."""
    try:
        return msgspec.convert(value, parameter.type, strict=not lax, dec_hook=_converted)
    except _PlainSecretError as error:
        raise DefinitionError(
            f"The parameter {parameter.name} of {where} is a secret, and was given in plain.",
            hint=ELSEWHERE.format(name=parameter.name),
        ) from error
    except msgspec.ValidationError as error:
        hidden = parameter.secret or any(map(_is_hidden, _leaves(value)))
        got = "" if hidden else f", not {_shown(value)}"
        bounds = f" ({error})" if parameter.bounded else ""
        raise DefinitionError(
            f"The parameter {parameter.name} of {where} must be {parameter.expected}{bounds}{got}.",
            hint="" if hidden or is_text(parameter.type) else _place(error),
        ) from error


class _PlainSecretError(Exception):
    """A secret that stands where anybody can read it."""


def _converted(kind: type, value: Any) -> Any:
    """What msgspec does not know: of its errors only ValueError and TypeError become its own."""
    if kind is Secret:
        if isinstance(value, Secret):
            return value
        if not isinstance(value, Elsewhere):
            raise _PlainSecretError
        if not value:
            raise ValueError("it is empty")
        return Secret(str(value))
    if issubclass(kind, Path) and isinstance(value, str):
        return Path(str(value)).absolute()  # the same file, from wherever the run goes on
    raise ValueError(f"not of type {kind.__name__}")


def _parameter(by_name: Mapping[str, Parameter], name: object, where: str, told: str) -> Parameter:
    if isinstance(name, str) and name in by_name:
        return by_name[name]
    takes = f"It takes {', '.join(by_name)}." if by_name else "It takes none."
    raise DefinitionError(f"{where} has no parameter {name!r}{told}.", hint=takes)


def _from_text(parameter: Parameter, text: str, where: str) -> Any:
    if isinstance(text, Elsewhere):
        return convert(parameter, text, where, lax=True)
    if is_text(parameter.type):
        return convert(parameter, resolved(text, parameter.name), where, lax=True)
    import yaml

    try:
        # Each leaf is a text, and becomes what the annotation says: `[1, 2]` may be two names.
        tree = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - it makes texts alone
    except (yaml.YAMLError, RecursionError) as error:
        raise DefinitionError(
            f"The parameter {parameter.name} of {where} must be {parameter.expected}, "
            f"written as YAML.",
            hint=f"For example: -p {parameter.name}='[a, b]', or a mapping: '{{a: 1}}'.",
        ) from error
    return convert(parameter, resolved(tree, parameter.name), where, lax=True)


def _from_tree(parameter: Parameter, tree: Any, where: str) -> Any:
    try:
        return convert(parameter, resolved(tree, parameter.name), where)
    except RecursionError as error:
        raise DefinitionError(
            f"The parameter {parameter.name} of {where} is nested too deeply, or holds itself."
        ) from error


def _read_file(file: str) -> Mapping[Any, Any]:
    import yaml

    try:
        source = Path(file).read_text(encoding="utf-8")
        node = yaml.compose(source, Loader=yaml.SafeLoader)
        tree = yaml.safe_load(source)
    except (OSError, ValueError) as error:
        raise DefinitionError(f"The parameters {file} cannot be read: {words(error)}.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it cannot be read"
        raise DefinitionError(
            f"{file}{line}: no YAML: {problem}.",
            hint='Write a reference in quotes: "@env:NAME".' if "'@'" in problem else "",
        ) from error
    except RecursionError as error:
        raise DefinitionError(f"{file} is nested too deeply, or holds itself.") from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise DefinitionError(
            f"{file} must be a mapping of parameters to values, not a {_kind(tree)}.",
            hint="Write it as lines like `region: eu`.",
        )
    names = [key.value for key, _ in node.value] if isinstance(node, yaml.MappingNode) else []
    for name in names:
        if names.count(name) > 1:
            raise DefinitionError(f"{file} gives the parameter {name!r} twice.")
    return tree


def _leaves(tree: Any) -> list[Any]:
    if isinstance(tree, dict | list):
        entries = tree.values() if isinstance(tree, dict) else tree
        return [leaf for entry in entries for leaf in _leaves(entry)]
    return [tree]


def _is_hidden(value: Any) -> bool:
    return isinstance(value, Elsewhere | Secret)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"  # noqa: PLR2004 - a line of a terminal


def _place(error: msgspec.ValidationError) -> str:
    """Where in a list or a mapping it is: msgspec says it after a dash."""
    _, _, at = str(error).partition(" - at ")
    return f"It is at {at.strip('`').removeprefix('$')}." if at.strip("`$") else ""


def _kind(tree: Any) -> str:
    return "list" if isinstance(tree, list) else "text" if isinstance(tree, str) else "value"
