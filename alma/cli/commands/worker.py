"""`alma-pulumi worker`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from alma.cli.options import (
    Invocation,
    pass_shared,
    shared_options,
    temporal_server_options,
    trust_option,
)
from alma.cli.output import say
from alma.cli.target import arguments, saga_options

if TYPE_CHECKING:
    from alma.runner.temporal.served import Served


@click.command("worker")
@click.argument("targets", metavar="TARGET...", nargs=-1, required=True)
@temporal_server_options
@click.option(
    "--queue",
    "queues",
    metavar="NAME",
    multiple=True,
    help="Do only the operations of steps with this queue=, and those that only this host can do. "
    "Repeatable.",
)
@click.option(
    "--max-operations",
    type=click.IntRange(min=1),
    help="How many operations to make at a time.  [default: 4, or fewer where memory is short]",
)
@click.option(
    "--deployment-name",
    metavar="NAME",
    default="",
    envvar="TEMPORAL_DEPLOYMENT_NAME",
    help="Temporal's worker versioning: the deployment that this worker is of; with --build-id. "
    "Runs stay with the version that they were begun by.  [default: $TEMPORAL_DEPLOYMENT_NAME]",
)
@click.option(
    "--build-id",
    metavar="ID",
    default="",
    envvar="TEMPORAL_WORKER_BUILD_ID",
    help="Its version there.  [default: $TEMPORAL_WORKER_BUILD_ID]",
)
@saga_options
@trust_option
@shared_options
@pass_shared
def command(
    shared: Invocation,
    targets: tuple[str, ...],
    queues: tuple[str, ...],
    max_operations: int | None,
    *,
    deployment_name: str,
    build_id: str,
) -> None:
    """Serve the runs of sagas that Temporal drives, until a signal.

    One SIGINT or SIGTERM: nothing new is taken, and what is under way ends first. Two: it ends
    now, and another worker finds out what has become of it.
    """
    from alma.runner import run_sync
    from alma.runner.temporal.room import operations_here
    from alma.runner.temporal.worker import serve

    version = _version(deployment_name, build_id)
    sagas = [_served(shared, target) for target in targets]
    run_sync(
        lambda: serve(
            sagas,
            address=shared.temporal,
            namespace=shared.namespace,
            queues=queues,
            operations=max_operations or operations_here(),
            version=version,
            ready=lambda words: say(f"alma-pulumi worker: {words}", err=True),
        )
    )


def _version(name: str, build: str) -> tuple[str, str] | None:
    from alma.errors import DefinitionError

    if bool(name) != bool(build):
        lacking, there = ("--build-id", name) if name else ("--deployment-name", build)
        raise DefinitionError(
            f"A version of a deployment is its name and its build id: {there!r} goes with no "
            f"{lacking}.",
            hint="Give both, or neither: TEMPORAL_DEPLOYMENT_NAME and TEMPORAL_WORKER_BUILD_ID.",
        )
    if "." in name:
        raise DefinitionError(f"The name of a deployment in Temporal has no dot: {name!r}.")
    return (name, build) if name else None


def _served(shared: Invocation, target: str) -> Served:
    from alma.runner.settings import Settings
    from alma.runner.temporal.served import Served
    from alma.saga.target import open_target

    said = arguments(shared)
    opened = open_target(target, said)
    loaded = opened.load(said)
    settings = Settings(
        journal=shared.journal,
        trust=shared.trust,
        origin=loaded.origin,
        modules=loaded.modules,
        handle_signals=False,
        temporal="",
    )
    return Served(opened=opened, loaded=loaded, settings=settings)
