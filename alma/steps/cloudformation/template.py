"""A template: read from a file, a text or a dict, and what it says of its parameters."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from alma.core.secret import Secret, secrets_in
from alma.core.validation import plain_value
from alma.errors import DefinitionError

LARGEST: Final = 51_200
"""Bytes that CloudFormation takes with a request; a larger one has to be in a bucket."""

_LISTS: Final = ("CommaDelimitedList", "List<")


@dataclass(frozen=True, kw_only=True)
class Template:
    """Its text, and of each parameter that it declares what it says of it."""

    text: str
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def hidden(self) -> frozenset[str]:
        """The parameters that CloudFormation shows to nobody (NoEcho)."""
        return hidden(self.parameters)


class _Loader(yaml.SafeLoader):
    """YAML as CloudFormation has it: with its short forms of functions, `!Ref` and the like."""


def _function(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.MappingNode):
        return {tag: loader.construct_mapping(node, deep=True)}
    if isinstance(node, yaml.SequenceNode):
        return {tag: loader.construct_sequence(node, deep=True)}
    return {tag: node.value}


_Loader.add_multi_constructor("!", _function)
# A version such as 2010-09-09 is a text, as everything is that CloudFormation knows.
_Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda _loader, node: node.value)


def read_template(where: str, given: object) -> Template:
    """The template of a step; DefinitionError in a sentence for what is none."""
    if isinstance(given, Mapping):
        if any(secrets_in(given)):
            raise DefinitionError(
                f"{where}: the template holds a Secret, and everybody can read a template.",
                hint="Declare a parameter with NoEcho, and give it in parameters=.",
            )
        text = json.dumps(plain_value(f"{where}: template", given, null=True), indent=1)
        return _checked(where, text, "the template")
    if isinstance(given, str) and ("\n" in given or given.lstrip().startswith("{")):
        return _checked(where, given, "the template")
    if not isinstance(given, str | Path) or not str(given):
        raise DefinitionError(
            f"{where}: the template must be a path, a text or a dict, not {given!r}."
        )
    path = Path(given)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise DefinitionError(f"{where}: the template {path} cannot be read: {why}.") from error
    return _checked(where, text, f"the template {path}")


def parse(text: str) -> Mapping[str, Any]:
    """A template as data; ValueError for what is none."""
    try:
        found = yaml.load(text, _Loader)  # noqa: S506 - it is a SafeLoader
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        at = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        words = getattr(error, "problem", None) or "it cannot be read"
        raise ValueError(f"{words}{at}") from error
    if not isinstance(found, dict):
        raise ValueError("it is no object")  # noqa: TRY004 - of what was given, not of a type
    return found


def hidden(parameters: Mapping[str, Any]) -> frozenset[str]:
    """Those declared with NoEcho."""
    return frozenset(
        name
        for name, about in parameters.items()
        if isinstance(about, Mapping) and str(about.get("NoEcho", "")).lower() == "true"
    )


def _checked(where: str, text: str, what: str) -> Template:
    if len(text.encode("utf-8", "surrogatepass")) > LARGEST:
        raise DefinitionError(
            f"{where}: {what} is larger than the {LARGEST} bytes that CloudFormation takes with "
            "a request.",
            hint="Split it, or put parts of it into nested stacks.",
        )
    try:
        found = parse(text)
    except ValueError as error:
        raise DefinitionError(f"{where}: {what} is no template: {error}.") from error
    resources, parameters = found.get("Resources"), found.get("Parameters") or {}
    if not isinstance(resources, dict) or not resources:
        raise DefinitionError(f"{where}: {what} is no template: it has no Resources.")
    if not isinstance(parameters, dict):
        raise DefinitionError(f"{where}: {what} is no template: its Parameters are no object.")
    about = {str(k): v if isinstance(v, dict) else {} for k, v in parameters.items()}
    return Template(text=text, parameters=about)


def check_parameters(where: str, template: Template, given: Iterable[str]) -> None:
    """Refuse what the template does not declare; what it lacks is known only once all is given."""
    has = ", ".join(sorted(template.parameters)) or "none"
    for name in sorted(set(given) - template.parameters.keys()):
        raise DefinitionError(
            f'{where}: the template declares no parameter "{name}".', hint=f"It declares: {has}."
        )
    lacking = template.parameters.keys() - set(given)
    for name in sorted(name for name in lacking if "Default" not in template.parameters[name]):
        raise DefinitionError(
            f'{where}: the parameter "{name}" of the template is given no value.',
            hint="Give it in parameters=, or as an input; or let the template have a Default.",
        )


def as_secrets(template: Template, values: Mapping[str, Any]) -> dict[str, Any]:
    """What the template hides is secret, whoever gave it."""
    return {
        name: Secret(value) if name in template.hidden and not isinstance(value, Secret) else value
        for name, value in values.items()
    }


def as_text(value: Any) -> str:
    """A parameter's value as CloudFormation takes it; a list's entries with commas between."""
    if isinstance(value, Secret):
        return as_text(value.value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ",".join(map(as_text, value))
    if isinstance(value, Mapping):
        return json.dumps(value)
    return str(value)


def shown_secret(template: Template, values: Mapping[str, Any]) -> str:
    """The first parameter that is given a secret, and that CloudFormation would show."""
    return next(
        (
            name
            for name, value in values.items()
            if name not in template.hidden and any(secrets_in([value]))
        ),
        "",
    )
