"""`alma-pulumi graph`."""

from __future__ import annotations

import click

from alma.cli.options import Invocation, pass_shared, shared_options
from alma.cli.output import say
from alma.cli.target import load_target, target_options


@click.command("graph")
@target_options
@click.option(
    "--format",
    "form",
    type=click.Choice(["mermaid", "dot", "svg"]),
    default="mermaid",
    show_default=True,
    help="The language of the drawing.",
)
@shared_options
@pass_shared
def command(shared: Invocation, target: str, form: str) -> None:
    """Draw the steps and what they pass on: each comes after those that point to it."""
    from alma.reports.graph import dot, mermaid, svg

    definition = load_target(shared, target).saga.definition()
    if shared.json:
        from alma.reports import documents

        shared.print_json(documents.graph(definition))
        return
    say({"mermaid": mermaid, "dot": dot, "svg": svg}[form](definition))
