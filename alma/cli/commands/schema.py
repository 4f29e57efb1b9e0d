"""`alma-pulumi schema`."""

from __future__ import annotations

from importlib import import_module
from typing import Final

import click

from alma.cli.options import Invocation, pass_shared, shared_options

SCHEMAS: Final = {
    "saga": "alma.saga.yaml.schema:saga_schema",
    "report": "alma.reports.formats:schema",
    "notice": "alma.runner.notices.payload:schema",
}
"""By what it is of, where it is made."""


@click.command("schema")
@click.argument("of", type=click.Choice(list(SCHEMAS)), metavar="OF")
@shared_options
@pass_shared
def command(shared: Invocation, of: str) -> None:
    r"""Print a JSON Schema, for editors and checks: of a saga in YAML, a report or a notice.

    \b
    alma-pulumi schema saga > saga.schema.json
    # yaml-language-server: $schema=saga.schema.json   (the first line of saga.yaml)
    """
    module, _, name = SCHEMAS[of].partition(":")
    shared.print_json(getattr(import_module(module), name)())
