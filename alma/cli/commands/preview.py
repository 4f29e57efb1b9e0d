"""`alma-pulumi preview`."""

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
    unfold_option,
)
from alma.cli.output import say
from alma.cli.selection import changed_option, selecting
from alma.cli.target import load_target, target_options

if TYPE_CHECKING:
    from alma.core.definition import LocalStack
    from alma.core.selection import Selection


@click.command("preview", cls=LocalStackCommand)
@target_options
@selecting
@changed_option
@localstack_option
@accept_backend_option
@unfold_option
@shared_options
@pass_shared
def command(
    shared: Invocation,
    target: str,
    localstack: LocalStack | None,
    *,
    selection: Selection,
    changed: bool,
    accept_backend: bool,
    unfold: bool,
) -> int:
    """Show what `up` would do, and what a failure would undo. Changes and writes nothing.

    Exit codes: 0 foreseen, 1 a stack's preview failed.
    """
    import asyncio

    from alma.reports import documents
    from alma.reports import preview as report
    from alma.runner.preview import preview
    from alma.runner.settings import Settings

    loaded = load_target(shared, target)
    settings = Settings(
        journal=shared.journal,
        aws=localstack,
        accept_backend=accept_backend,
        selection=selection,
        changed=changed,
        origin=loaded.origin,
        modules=loaded.modules,
    )
    found = asyncio.run(preview(loaded.saga, settings))
    if shared.json:
        shared.print_json(documents.preview(found))
    else:
        for line in report.preview(found, unfold=unfold):
            say(line)
    for line in report.failures(found):
        say(line, err=True)
    return 0 if found.ok else 1
