"""TARGET and what is said of it on a command line: parameters, stack, organization.

Every command that loads a saga takes them by `target_options` and loads it here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from click.core import ParameterSource

from alma.cli.default_target import default_target, there
from alma.cli.options import Invocation, completed

if TYPE_CHECKING:
    from alma.saga.given_values import Arguments
    from alma.saga.target import LoadedSaga

F = TypeVar("F", bound=Callable[..., Any])


def _one(context: click.Context, parameter: click.Parameter, value: str) -> str:
    given = context.get_parameter_source(str(parameter.name)) is not ParameterSource.DEFAULT
    found = there()
    if not (given or context.resilient_parsing) and len(found) > 1:
        raise click.BadParameter(f"There are {' and '.join(found)} here: name the one you mean.")
    return value


target_argument = click.argument(
    "target", default=default_target, callback=_one, shell_complete=completed("target")
)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        # Not repeated: it may be a secret that was put in the wrong place.
        raise click.BadParameter("It takes name=value.")
    return name.strip(), value


def _pairs(context: click.Context, _parameter: click.Parameter, texts: Sequence[str]) -> None:
    given = context.ensure_object(Invocation).parameters
    for name, value in map(_pair, texts):
        if name in given:
            raise click.BadParameter(f"The parameter {name} is given twice.")
        given[name] = value
    if sum(value == "-" for value in given.values()) > 1:
        raise click.BadParameter("Only one parameter can come from stdin (=-).")


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    if value == "":  # a variable of a pipeline that is not set would mean another stack
        raise click.BadParameter("It is empty.")
    if value:
        setattr(context.ensure_object(Invocation), str(parameter.name), value)


_OPTIONS: Final = (
    click.option(
        "-p",
        "--param",
        "parameters",
        metavar="NAME=VALUE",
        multiple=True,
        expose_value=False,
        callback=_pairs,
        shell_complete=completed("parameter"),
        help="A parameter of what TARGET names. =@env:NAME, =@file:PATH and "
        "=- (stdin) take the value from there. Repeatable.",
    ),
    click.option(
        "--params",
        "parameter_files",
        metavar="FILE",
        multiple=True,
        expose_value=False,
        callback=_keep,
        help="Parameters from a file of YAML; a later file goes before an earlier one, -p before "
        "all. Repeatable.",
    ),
    click.option(
        "--stack",
        metavar="NAME",
        expose_value=False,
        callback=_keep,
        help="The stack's name, whatever the saga says; with an organization as ORG/NAME. A run "
        "that goes on has its own.",
    ),
    click.option(
        "--org",
        "organization",
        metavar="NAME",
        expose_value=False,
        callback=_keep,
        help="The organization in Pulumi Cloud, whatever the saga says.",
    ),
)


def saga_options(function: F) -> F:
    """`-p`, `--params`, `--stack`, `--org`; kept in `Invocation`, not passed on."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def target_options(function: F) -> F:
    """The argument TARGET, with what `saga_options` has."""
    return target_argument(saga_options(function))


def arguments(
    shared: Invocation,
    known: Mapping[str, Any] | None = None,
    overrides: Mapping[str, str] | None = None,
) -> Arguments:
    """What this command line says of its saga.

    `known` are the parameters of an earlier run, `overrides` what was said then.
    """
    from alma.saga.given_values import Arguments
    from alma.saga.overrides import split

    if shared.stack:
        split(shared.stack, shared.organization)  # refused before a file is loaded
    before = overrides or {}
    said = bool(shared.stack or shared.organization)
    return Arguments(
        texts={name: _from_here(shared, name, text) for name, text in shared.parameters.items()},
        files=[str(Path(file).absolute()) for file in shared.parameter_files],
        known=known or {},
        stack=shared.stack if said else before.get("stack", ""),
        organization=shared.organization if said else before.get("organization", ""),
    )


def _from_here(shared: Invocation, name: str, text: str) -> str:
    """A file is meant from where the command was called: a run may go on elsewhere."""
    if text == "-":
        if shared.stdin is None:
            shared.stdin = _stdin(name)
        from alma.saga.elsewhere import Elsewhere

        return Elsewhere(shared.stdin)
    path = text.removeprefix("@file:")
    return text if path in (text, "") else f"@file:{Path(path).absolute()}"


def _stdin(name: str) -> str:
    """What is piped in, or typed unseen at a terminal."""
    from alma.errors import DefinitionError
    from alma.saga.elsewhere import one_line_less

    if sys.stdin is None:
        raise DefinitionError(f"The parameter {name} is to come from stdin, and there is none.")
    if sys.stdin.isatty():
        return str(click.prompt(name, hide_input=True, err=True))
    try:
        return one_line_less(sys.stdin.read())
    except ValueError as error:
        raise DefinitionError(f"The parameter {name}: stdin is no UTF-8 text.") from error


def load_target(shared: Invocation, target: str) -> LoadedSaga:
    """The saga that TARGET means, as this command line says it is to be."""
    from alma.saga.target import load_saga

    return load_saga(target, arguments(shared))


def load_deployed(shared: Invocation, target: str) -> LoadedSaga:
    """The saga of what is there, for who takes it down or puts it back.

    A function is called as its last run was: who leaves a parameter out means what was deployed.
    """
    from alma.saga.target import open_target

    said = arguments(shared)
    opened = open_target(target, said)
    if opened.maker is None:
        return opened.load(said)
    from alma.runner.deployed import find_deployed
    from alma.runner.settings import Settings

    settings = Settings(journal=shared.journal, trust=shared.trust)
    with settings.open(write=False) as journal:
        found = find_deployed(journal, opened, said)
    if found is None:
        return opened.load(said)
    return found.load(opened, arguments(shared, found.parameters, found.run.overrides))
