"""`alma-pulumi params`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from alma.cli.options import Invocation, pass_shared, shared_options
from alma.cli.output import say
from alma.cli.target import target_argument

if TYPE_CHECKING:
    from alma.saga.parameters import Parameter


@click.command("params")
@target_argument
@shared_options
@pass_shared
def command(shared: Invocation, target: str) -> None:
    """List the parameters of what TARGET names: a function, or a saga in YAML. Calls nothing."""
    from alma.reports.text import table
    from alma.saga.target import open_target

    opened = open_target(target)
    if shared.json:
        shared.print_json([_document(one) for one in opened.parameters])
    elif opened.parameters:
        header = ("PARAMETER", "TYPE", "DEFAULT")
        for line in table(header, [_row(one) for one in opened.parameters]):
            say(line)
    elif opened.maker is None:
        say(f"{opened.name} is a Saga, and takes no parameters.")
    else:
        say(f"{opened.name} takes no parameters.")


def _document(one: Parameter) -> dict[str, Any]:
    from alma.core.secret import mask

    return {
        "name": one.name,
        "type": one.spelled,
        "required": one.required,
        "default": mask(one.default_as_json),
        "secret": one.secret,
    }


def _row(one: Parameter) -> tuple[str, str, str]:
    return one.name, one.spelled, "(required)" if one.required else one.shown_default
