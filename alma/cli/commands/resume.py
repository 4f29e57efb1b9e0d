"""`alma-pulumi resume` and `alma-pulumi rollback`: a run that exists is taken up again."""

from __future__ import annotations

from contextlib import chdir
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from alma.cli.options import (
    Invocation,
    LocalStackCommand,
    completed,
    gone_options,
    localstack_option,
    pass_shared,
    run_argument,
    shared_options,
    skip_option,
    temporal_options,
    trust_option,
)
from alma.cli.output import say
from alma.cli.question import DECLINED, agrees_to_rollback, yes_option
from alma.cli.reporting import report_option
from alma.cli.target import arguments, load_target, saga_options
from alma.cli.waiting import lock_timeout_option

if TYPE_CHECKING:
    from alma.cli.progress import Start
    from alma.core.definition import LocalStack
    from alma.core.run import RunStatus
    from alma.errors import AuthenticationError
    from alma.runner.recorder import Reporter
    from alma.runner.settings import Settings
    from alma.saga.given_values import Arguments
    from alma.saga.target import LoadedSaga


@click.command("resume", cls=LocalStackCommand)
@run_argument
@click.option(
    "--target",
    metavar="TARGET",
    shell_complete=completed("target"),
    help="The saga's file, if not the journaled one.",
)
@click.option("--accept-changes", is_flag=True, help="Go on although the saga has changed.")
@localstack_option
@saga_options
@gone_options
@lock_timeout_option
@skip_option
@temporal_options
@trust_option
@report_option
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

    loaded, directory = _saga_for(shared, run, target, back=False)

    def go_on(which: str) -> Start:
        return lambda reporter: runner.resume(
            which,
            saga=loaded.saga if loaded else None,
            settings=replace(_settings(shared, loaded, reporter), aws=localstack),
            accept_changes=accept_changes,
        )

    return run_and_report(shared, go_on(run), directory=directory, go_on=go_on)


@click.command("rollback")
@run_argument
@click.option(
    "--target",
    metavar="TARGET",
    shell_complete=completed("target"),
    help="The saga's file, if not the journaled one.",
)
@saga_options
@yes_option
@gone_options
@lock_timeout_option
@skip_option
@temporal_options
@trust_option
@report_option
@shared_options
@pass_shared
def rollback(shared: Invocation, run: str, target: str | None, *, yes: bool) -> int:
    """Undo an interrupted or failed run, and verify that it is undone."""
    from alma import runner
    from alma.cli.progress import run_and_report

    loaded, directory = _saga_for(shared, run, target, back=True)
    if not agrees_to_rollback(shared, run, _settings(shared, loaded, None), yes=yes):
        return DECLINED
    return run_and_report(
        shared,
        lambda reporter: runner.rollback(
            run,
            saga=loaded.saga if loaded else None,
            settings=_settings(shared, loaded, reporter),
        ),
        directory=directory,
    )


def _saga_for(
    shared: Invocation, reference: str, target: str | None, *, back: bool
) -> tuple[LoadedSaga | None, str]:
    """The run's saga, None where it cannot be had; and the directory in which it goes on."""
    from alma.core.run import SagaState
    from alma.journal.address import absolute_address
    from alma.journal.reading import view_run
    from alma.reports.text import plain
    from alma.runner.deployed import known_parameters
    from alma.runner.directory import elsewhere, working_directory
    from alma.saga.target import absolute, load_saga

    # Before a file that it names is loaded, or a directory entered: it must be one's own.
    with _settings(shared, None, None).open(write=False) as journal:
        run = view_run(journal, journal.resolve(reference)).run
        known, locked = known_parameters(journal, run)
    _require_own_place(shared, run)
    if run.state in (SagaState.COMPLETED, SagaState.COMPENSATED):
        return (load_target(shared, target) if target else None), working_directory()
    if run.workflow is not None:
        _require_nothing_else(shared, run, target)
        return None, working_directory()  # its workers have the saga
    if target is not None:
        target = absolute(target)
    if there := elsewhere(run):
        shared.journal = absolute_address(shared.where)
        say(f"note: Run {run.run} goes on in {plain(there)}, where it was started.", err=True)
    directory = there or working_directory()
    said = arguments(shared, known, run.overrides)
    with chdir(directory):
        if target is not None:
            return load_saga(target, said, wanted=run.definition.target), directory
        back = back or run.direction == "back"
        return _own_saga(run, said, locked, back=back), directory


def _require_nothing_else(shared: Invocation, run: RunStatus, target: str | None) -> None:
    """Of a run that Temporal drives nothing but its workers has the saga."""
    from alma.errors import DefinitionError

    if target is not None or shared.parameters or shared.parameter_files:
        raise DefinitionError(
            f"Run {run.run} goes on in Temporal with the saga that its workers have, and with the "
            "parameters that it was begun with.",
            hint="Leave --target, -p and --params out.",
        )


def _require_own_place(shared: Invocation, run: RunStatus) -> None:
    """A run goes on over its own stacks."""
    from alma.errors import DefinitionError
    from alma.saga.overrides import split

    plan = run.definition
    stack, organization = plan.stack, shared.organization
    if shared.stack:
        stack, organization = split(shared.stack, shared.organization)
    if stack != plan.stack or organization not in ("", plan.organization):
        said = "/".join(filter(None, (organization, stack)))
        raise DefinitionError(
            f"Run {run.run} is of {plan.target}, and goes on over its own stack, not over {said}.",
            hint="Leave --stack and --org out.",
        )


def _own_saga(
    run: RunStatus, said: Arguments, locked: AuthenticationError | None, *, back: bool
) -> LoadedSaga | None:
    """From the file that the journal names, as it was called then.

    It has what no journal can keep: functions, resolvers, providers in modules beside it, the
    environment that it sets. A way back that needs no function goes on without it all the same:
    broken code is a common cause of the failure that is to be undone.
    """
    from alma.errors import DefinitionError
    from alma.reports.text import plain
    from alma.runner.directory import has_functions
    from alma.saga.target import load_saga

    if not run.origin:
        return None
    try:
        loaded = load_saga(run.origin, said, wanted=run.definition.target)
        found = loaded.saga.target
        if found != run.definition.target:
            raise DefinitionError(f"{run.origin} has {found}, not {run.definition.target}.")
    except DefinitionError as error:
        why = f"The saga of run {run.run} cannot be loaded: {error.message}"
        hint = f"{error.hint} Or give another file with --target.".strip()
        if said.names_any or not back or has_functions(run):
            raise locked or DefinitionError(why, hint=hint) from error
        say(f"note: {plain(why)} It is undone from the journal alone.", err=True)
        return None
    return loaded


def _reasons(shared: Invocation) -> tuple[str, str]:
    """Why the host is gone, which is needed to say that it is; or why the run is gone on with."""
    from alma.errors import DefinitionError

    reason = shared.reason.strip()
    if shared.host_is_gone and not reason:
        raise DefinitionError(
            "--host-is-gone needs a --reason: it is what the journal keeps of the decision."
        )
    return (reason, "") if shared.host_is_gone else ("", reason)


def _settings(shared: Invocation, loaded: LoadedSaga | None, reporter: Reporter | None) -> Settings:
    from alma.runner.settings import Settings

    gone, reason = _reasons(shared)
    return Settings(
        journal=shared.journal,
        trust=shared.trust,
        host_is_gone=gone,
        reason=reason,
        skip=shared.skip,
        temporal=shared.temporal,
        namespace=shared.namespace,
        reporter=reporter,
        origin=loaded.origin if loaded else "",
        modules=loaded.modules if loaded else (),
    )
