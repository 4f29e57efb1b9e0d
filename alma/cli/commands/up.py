"""`alma-pulumi up`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from alma.cli.options import (
    Invocation,
    LocalStackCommand,
    accept_backend_option,
    localstack_option,
    pass_shared,
    shared_options,
    trust_option,
)
from alma.cli.target import load_target, target_options

if TYPE_CHECKING:
    from alma.core.definition import LocalStack
    from alma.saga.target import LoadedSaga


@click.command("up", cls=LocalStackCommand)
@target_options
@localstack_option
@accept_backend_option
@trust_option
@shared_options
@pass_shared
def command(
    shared: Invocation, target: str, localstack: LocalStack | None, *, accept_backend: bool
) -> int:
    """Run the saga: bring every step up, or undo them all.

    Exit codes: 0 completed, 4 failed and undone, 10 failed with leftovers, 8 interrupted.
    """
    from alma.steps.step import prewarmed

    saga = (loaded := load_target(shared, target)).saga
    # Only now: for a target that is refused, nothing is started.
    with prewarmed(saga.steps, saga.stack):
        return _up(shared, loaded, localstack, accept_backend=accept_backend)


def _up(
    shared: Invocation, loaded: LoadedSaga, localstack: LocalStack | None, *, accept_backend: bool
) -> int:
    from alma import runner
    from alma.cli.progress import run_and_report
    from alma.runner.settings import Settings

    return run_and_report(
        shared,
        lambda reporter: runner.up(
            loaded.saga,
            settings=Settings(
                journal=shared.journal,
                trust=shared.trust,
                reporter=reporter,
                aws=localstack,
                accept_backend=accept_backend,
                origin=loaded.origin,
                modules=loaded.modules,
            ),
        ),
    )
