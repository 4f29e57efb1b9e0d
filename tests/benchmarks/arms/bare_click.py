"""A script of click that does nothing: what any command line in Python costs."""

from __future__ import annotations

import click


@click.group()
def main() -> None:
    """Nothing."""


@main.command()
def status() -> None:
    click.echo("nothing")


main()
