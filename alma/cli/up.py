"""`alma-pulumi up`."""

from __future__ import annotations

import click

from alma.cli.options import Shared, pass_shared, shared_options, target_argument


@click.command("up")
@target_argument
@shared_options
@pass_shared
def command(shared: Shared, target: str) -> int:
    """Run the saga: bring every step up, or undo them all.

    Exit codes: 0 completed, 4 failed and undone, 10 failed with leftovers, 8 interrupted.
    """
    from alma.engine.ahead import worker_ahead

    with worker_ahead():
        return _up(shared, target)


def _up(shared: Shared, target: str) -> int:
    from alma import launch
    from alma.cli.ending import conduct
    from alma.settings import Settings
    from alma.target import load

    loaded = load(target)
    return conduct(
        shared,
        lambda reporter: launch.up(
            loaded.saga,
            settings=Settings(
                journal=shared.journal,
                reporter=reporter,
                origin=loaded.origin,
                modules=loaded.modules,
            ),
        ),
    )
