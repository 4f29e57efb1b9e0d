"""`alma-pulumi resume` and `alma-pulumi rollback`: a run that exists is taken up again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from alma.cli.options import (
    Invocation,
    LocalStackCommand,
    localstack_option,
    pass_shared,
    run_argument,
    shared_options,
)

if TYPE_CHECKING:
    from alma.core.definition import LocalStack
    from alma.core.run import RunStatus
    from alma.runner.recorder import Reporter
    from alma.runner.settings import Settings
    from alma.saga.target import LoadedSaga


@click.command("resume", cls=LocalStackCommand)
@run_argument
@click.option("--target", metavar="TARGET", help="The saga's file, if not the journaled one.")
@click.option("--accept-changes", is_flag=True, help="Go on although the saga has changed.")
@localstack_option
@shared_options
@pass_shared
def resume(
    shared: Invocation,
    run: str,
    target: str | None,
    *,
    localstack: LocalStack | None,
    accept_changes: bool,
) -> int:
    """Go on with an interrupted or failed run, in the direction it had."""
    from alma import runner
    from alma.cli.progress import run_and_report

    loaded = _saga_for(shared, run, target, back=False)
    return run_and_report(
        shared,
        lambda reporter: runner.resume(
            run,
            saga=loaded.saga if loaded else None,
            settings=replace(_settings(shared, loaded, reporter), aws=localstack),
            accept_changes=accept_changes,
        ),
    )


@click.command("rollback")
@run_argument
@click.option("--target", metavar="TARGET", help="The saga's file, if not the journaled one.")
@shared_options
@pass_shared
def rollback(shared: Invocation, run: str, target: str | None) -> int:
    """Undo an interrupted or failed run, and verify that it is undone."""
    from alma import runner
    from alma.cli.progress import run_and_report

    loaded = _saga_for(shared, run, target, back=True)
    return run_and_report(
        shared,
        lambda reporter: runner.rollback(
            run,
            saga=loaded.saga if loaded else None,
            settings=_settings(shared, loaded, reporter),
        ),
    )


def _saga_for(
    shared: Invocation, reference: str, target: str | None, *, back: bool
) -> LoadedSaga | None:
    """From `target`, else from the file that the journal names; None where none is needed.

    A way back over stacks alone needs only the journal: broken code is a common cause of the
    failure that is to be undone.
    """
    from alma.errors import DefinitionError
    from alma.journal.reading import find_run
    from alma.saga.target import load

    run = find_run(shared.journal_path, reference).run
    if target is not None:
        return load(target)
    if not _is_needed(run, back=back or run.direction == "back") or not run.origin:
        return None
    try:
        return load(run.origin)
    except DefinitionError as error:
        raise DefinitionError(
            f"The saga of run {run.run} cannot be loaded: {error.message}",
            hint=f"{error.hint} Or give another file with --target.".strip(),
        ) from error


def _is_needed(run: RunStatus, *, back: bool) -> bool:
    from alma.core.run import SagaState
    from alma.steps.registry import rebind

    if run.state in (SagaState.COMPLETED, SagaState.COMPENSATED):
        return False
    if not back:
        return True
    return any(
        rebind(step.definition).lacks
        for step in run.steps.values()
        if step.started is not None or run.backward_only
    )


def _settings(shared: Invocation, loaded: LoadedSaga | None, reporter: Reporter | None) -> Settings:
    from alma.runner.settings import Settings

    return Settings(
        journal=shared.journal,
        reporter=reporter,
        origin=loaded.origin if loaded else "",
        modules=loaded.modules if loaded else (),
    )
