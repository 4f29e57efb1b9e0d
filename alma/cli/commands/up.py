"""`alma-pulumi up`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from alma.cli.options import (
    Invocation,
    LocalStackCommand,
    accept_backend_option,
    expiry_options,
    localstack_option,
    pass_shared,
    shared_options,
    temporal_options,
    trust_option,
)
from alma.cli.question import DECLINED, PREVIEW_FAILED, agrees_to_up, previewed, yes_option
from alma.cli.reporting import report_option
from alma.cli.selection import changed_option, selecting
from alma.cli.target import load_target, target_options
from alma.cli.waiting import lock_timeout_option

if TYPE_CHECKING:
    from alma.core.definition import LocalStack
    from alma.core.selection import Selection
    from alma.core.ttl import Ttl
    from alma.runner.settings import Settings
    from alma.saga.saga import Saga


@click.command("up", cls=LocalStackCommand)
@target_options
@selecting
@changed_option
@click.option(
    "--preview",
    "preview_first",
    is_flag=True,
    help="Show the full preview first; if one of a step fails, nothing is begun.",
)
@click.option(
    "--repair",
    is_flag=True,
    help="Bring back what has drifted, and nothing else; undone if that fails.",
)
@yes_option
@expiry_options
@localstack_option
@accept_backend_option
@lock_timeout_option
@temporal_options
@trust_option
@report_option
@shared_options
@pass_shared
def command(
    shared: Invocation,
    target: str,
    *,
    selection: Selection,
    changed: bool,
    localstack: LocalStack | None,
    accept_backend: bool,
    preview_first: bool,
    repair: bool,
    ttl: Ttl | None,
    accept_existing: bool,
    yes: bool,
) -> int:
    """Run the saga: bring every step up, or undo them all.

    With STEPs (names, or globs such as "web-*") only those and what they depend on. On a terminal
    it is shown first what that would mean, and asked.

    Exit codes: 0 completed, 4 failed and undone, 10 failed with leftovers, 8 interrupted or
    declined; with --repair 12 where something is still not as it is to be.
    """
    from alma.runner.settings import Settings
    from alma.steps.step import prewarmed

    loaded = load_target(shared, target)
    saga = loaded.saga
    settings = Settings(
        journal=shared.journal,
        trust=shared.trust,
        aws=localstack,
        accept_backend=accept_backend,
        accept_existing=accept_existing,
        ttl=ttl,
        selection=selection,
        changed=changed,
        temporal=shared.temporal,
        namespace=shared.namespace,
        origin=loaded.origin,
        modules=loaded.modules,
    )
    if repair:
        from alma.cli import repairing

        if preview_first:
            raise click.UsageError("--repair shows the drift, and has no --preview.")
        if settings.temporal:
            raise click.UsageError(
                "A repair runs where it is called, and not in Temporal: leave out --temporal, and "
                "ALMA_TEMPORAL."
            )
        return repairing.repair(shared, saga, settings, yes=yes)
    if preview_first and not previewed(shared, saga, settings):
        return PREVIEW_FAILED
    if not agrees_to_up(shared, saga, settings, yes=yes):
        return DECLINED
    # Only now: for a target that is refused, nothing is started.
    with prewarmed(() if changed or settings.temporal else saga.steps, saga.stack):
        return _up(shared, saga, settings)


def _up(shared: Invocation, saga: Saga, settings: Settings) -> int:
    from alma import runner
    from alma.cli.progress import run_and_report

    return run_and_report(
        shared,
        lambda reporter: runner.up(saga, settings=replace(settings, reporter=reporter)),
        go_on=lambda run: (
            lambda reporter: runner.resume(
                run, saga=saga, settings=replace(settings, reporter=reporter, ttl=None)
            )
        ),
    )
