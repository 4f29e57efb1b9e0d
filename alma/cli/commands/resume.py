"""`alma-pulumi resume`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from alma.cli.localstack import Command, localstack_option
from alma.cli.options import Invocation, pass_shared, run_argument, shared_options

if TYPE_CHECKING:
    from alma.core.definition import LocalStack


@click.command("resume", cls=Command)
@run_argument
@click.option("--target", metavar="TARGET", help="The saga's file, if not the journaled one.")
@click.option("--accept-changes", is_flag=True, help="Go on although the saga has changed.")
@localstack_option
@shared_options
@pass_shared
def command(
    shared: Invocation,
    run: str,
    target: str | None,
    *,
    localstack: LocalStack | None,
    accept_changes: bool,
) -> int:
    """Go on with an interrupted or failed run, in the direction it had."""
    from alma.cli.commands.again import saga_for, settings
    from alma.cli.ending import conduct
    from alma.runner import start as launch

    loaded = saga_for(shared, run, target, back=False)
    return conduct(
        shared,
        lambda reporter: launch.resume(
            run,
            saga=loaded.saga if loaded else None,
            settings=replace(settings(shared, loaded, reporter), aws=localstack),
            accept_changes=accept_changes,
        ),
    )
