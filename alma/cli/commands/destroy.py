"""`alma-pulumi destroy`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from alma.cli.options import (
    Invocation,
    LocalStackCommand,
    accept_backend_option,
    localstack_option,
    pass_shared,
    shared_options,
    trust_option,
)
from alma.cli.question import DECLINED, agrees_to_destroy, yes_option
from alma.cli.reporting import report_option
from alma.cli.selection import selecting
from alma.cli.target import load_deployed, target_options
from alma.cli.waiting import lock_timeout_option

if TYPE_CHECKING:
    from alma.core.definition import LocalStack
    from alma.core.selection import Selection


@click.command("destroy", cls=LocalStackCommand)
@target_options
@selecting
@click.option(
    "--remove",
    is_flag=True,
    help="Remove the stacks' records and history from the backend as well.",
)
@yes_option
@localstack_option
@accept_backend_option
@lock_timeout_option
@trust_option
@report_option
@shared_options
@pass_shared
def command(
    shared: Invocation,
    target: str,
    *,
    selection: Selection,
    localstack: LocalStack | None,
    accept_backend: bool,
    remove: bool,
    yes: bool,
) -> int:
    """Take the whole saga down, in reverse order, as a journaled run of its own.

    With STEPs (names, or globs such as "web-*") only those and what depends on them.
    """
    from alma import runner
    from alma.cli.progress import run_and_report
    from alma.runner.settings import Settings

    loaded = load_deployed(shared, target)
    saga = loaded.saga
    settings = Settings(
        journal=shared.journal,
        trust=shared.trust,
        aws=localstack,
        accept_backend=accept_backend,
        selection=selection,
        origin=loaded.origin,
        modules=loaded.modules,
    )
    if not agrees_to_destroy(shared, saga, settings, yes=yes, remove=remove):
        return DECLINED
    return run_and_report(
        shared,
        lambda reporter: runner.destroy(
            saga, remove=remove, settings=replace(settings, reporter=reporter)
        ),
    )
