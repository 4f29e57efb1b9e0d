"""`alma-pulumi rollback`."""

from __future__ import annotations

import click

from alma.cli.options import Invocation, pass_shared, run_argument, shared_options


@click.command("rollback")
@run_argument
@click.option("--target", metavar="TARGET", help="The saga's file, if not the journaled one.")
@shared_options
@pass_shared
def command(shared: Invocation, run: str, target: str | None) -> int:
    """Undo an interrupted or failed run, and verify that it is undone."""
    from alma.cli.commands.again import saga_for, settings
    from alma.cli.ending import conduct
    from alma.runner import start as launch

    loaded = saga_for(shared, run, target, back=True)
    return conduct(
        shared,
        lambda reporter: launch.rollback(
            run,
            saga=loaded.saga if loaded else None,
            settings=settings(shared, loaded, reporter),
        ),
    )
