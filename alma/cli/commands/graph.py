"""`alma-pulumi graph`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from alma.cli.options import Invocation, pass_shared, shared_options, unfold_option
from alma.cli.output import say
from alma.cli.selection import selecting
from alma.cli.target import load_target, target_options

if TYPE_CHECKING:
    from alma.core.selection import Selection


@click.command("graph")
@target_options
@selecting
@click.option(
    "--format",
    "form",
    type=click.Choice(["mermaid", "dot", "svg"]),
    default="mermaid",
    show_default=True,
    help="The language of the drawing.",
)
@unfold_option
@shared_options
@pass_shared
def command(
    shared: Invocation, target: str, form: str, *, unfold: bool, selection: Selection
) -> None:
    """Draw the steps and what they pass on: each comes after those that point to it.

    With STEPs or the other options of `up`, those that it would not run are dashed.
    """
    from alma.reports.graph import dot, mermaid, svg

    saga = load_target(shared, target).saga
    definition = saga.definition()
    selected = frozenset(selection.chosen(definition))
    if unfold:
        from alma.saga.unfold import unfolded

        definition, owners = unfolded(saga)
        selected = frozenset(name for name in owners if owners[name] in selected)
    if shared.json:
        from alma.reports import documents

        shared.print_json(documents.graph(definition, selected))
        return
    say({"mermaid": mermaid, "dot": dot, "svg": svg}[form](definition, selected))
