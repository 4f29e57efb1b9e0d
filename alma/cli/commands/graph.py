"""`alma-pulumi graph`."""

from __future__ import annotations

import click

from alma.cli.options import Invocation, pass_shared, shared_options, target_argument
from alma.cli.output import say


@click.command("graph")
@target_argument
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
    from alma.reports.graph import arrows, dot, mermaid
    from alma.saga.target import load

    definition = load(target).saga.definition()
    if shared.json:
        edges = [
            {"from": a.before, "to": a.after, "outputs": a.outputs} for a in arrows(definition)
        ]
        nodes = [
            {"name": step.name, "kind": step.kind, "project": step.project, "pivot": step.pivot}
            for step in definition.steps
        ]
        shared.answer({"saga": definition.saga, "nodes": nodes, "edges": edges})
        return
    if form == "svg":
        from alma.reports.svg import svg

        say(svg(definition))
        return
    say({"mermaid": mermaid, "dot": dot}[form](definition))
