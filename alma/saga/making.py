"""A saga of the parameters that it is given: by a function, or by a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import UNSET

from alma.core.redaction import Redactor
from alma.core.secret import mask
from alma.errors import DefinitionError
from alma.saga.given_values import Arguments, convert, journaled_values, read_values
from alma.saga.overrides import overriding
from alma.saga.parameters import Making, Parameter
from alma.saga.python_file import call_for_saga
from alma.saga.saga import Saga

Maker = Callable[[Mapping[str, Any], Redactor], Saga]
"""From parameters by name to the saga. A default is its own business, and so is each error: the
redactor knows the secrets that it was given."""


def calling(where: str, function: Making, parameters: Sequence[Parameter]) -> Maker:
    """By a Python function."""

    def make(values: Mapping[str, Any], redact: Redactor) -> Saga:
        by_position = [values.get(one.name, one.default) for one in parameters if one.by_position]
        by_name = {
            one.name: values[one.name]
            for one in parameters
            if one.name in values and not one.by_position
        }
        return call_for_saga(where, function, lambda: function(*by_position, **by_name), redact)

    return make


def make_saga(
    where: str, maker: Maker, parameters: Sequence[Parameter], arguments: Arguments
) -> Saga:
    """The saga; it keeps what it was made from.

    DefinitionError where something is missing, unknown or mistyped, where a parameter is not what
    it was in the run that is to go on, and for what the maker raises.
    """
    values = read_values(parameters, arguments, where)
    given = journaled_values(parameters, values, where)
    for one in parameters:
        default = _default(one)
        known = arguments.known.get(one.name, UNSET)
        if one.name in given:
            if known is not UNSET and given[one.name] != known:
                raise changed(one.name, known, given[one.name])
        elif known is not UNSET and known != default:
            values[one.name], given[one.name] = convert(one, known, where), known
        elif default is not UNSET:
            given[one.name] = default
    _require(where, parameters, values)
    redact = Redactor()
    redact.learn(given)
    with overriding(arguments.overrides):
        saga = maker(values, redact)
    saga.parameters = given
    return saga


def changed(name: str, known: Any, now: Any) -> DefinitionError:
    """What has begun with one value does not go on with another."""
    was, is_ = mask(known), mask(now)
    told = f"was {was!r}, and is {is_!r} now" if was != is_ else "was another one"
    return DefinitionError(
        f"The parameter {name} {told}: what was begun with it goes on with it.",
        hint="Leave it out. To change it run `up`, once no run is unfinished (resume, rollback).",
    )


def _require(where: str, parameters: Sequence[Parameter], values: Mapping[str, Any]) -> None:
    missing = [one for one in parameters if one.required and one.name not in values]
    if not missing:
        return
    first = missing[0]
    more = f"; also {', '.join(one.name for one in missing[1:])}" if missing[1:] else ""
    way = f"{first.name}=@env:NAME" if first.secret else f"{first.name}=..."
    raise DefinitionError(
        f"{where} needs the parameter {first.name}: {first.expected}{more}.",
        hint=f"Give it: -p {way}, or in a file: --params FILE.",
    )


def _default(parameter: Parameter) -> Any:
    """As the journal has it; UNSET for what no journal can keep."""
    if parameter.required:
        return UNSET
    kept = parameter.default_as_json
    return kept if kept is not None or parameter.default is None else UNSET
