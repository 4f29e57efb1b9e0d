"""A worker: serves the runs of its sagas until it is asked to end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.service import RPCError
from temporalio.worker import Worker, WorkerDeploymentConfig
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from alma.core.redaction import shortened
from alma.errors import AlmaError
from alma.runner.temporal.activities import Activities
from alma.runner.temporal.connection import connect
from alma.runner.temporal.orders import (
    SAGA,
    STACK,
    STATE,
    host_queue_of,
    operations_of,
    queue_of,
)
from alma.runner.temporal.own_loop import OwnLoop
from alma.runner.temporal.served import Served
from alma.runner.temporal.workflow import RunWorkflow
from alma.system.processes import PLACE

if TYPE_CHECKING:
    from temporalio.client import Client

_UNTHROTTLED: Final = timedelta(milliseconds=100)
"""Of heartbeats. By itself the SDK holds them back for four fifths of their limit, so that a worker
that is slow for the last fifth is taken for lost; alma sends three in a limit."""
_FOR_EVER: Final = timedelta(days=365)
"""A worker that is asked to end lets its CLIs end first, however long they take."""


async def serve(
    sagas: Sequence[Served],
    *,
    address: str = "",
    namespace: str = "",
    queues: Sequence[str] = (),
    operations: int,
    version: tuple[str, str] | None = None,
    ready: Callable[[str], None] = lambda _words: None,
) -> None:
    """Serve the sagas' workflows, and their operations: all, or those of these `queues`.

    With a `version` (Temporal's deployment name and build id) a run stays with the workers of the
    version that it was begun by.

    Those that only this host can do it always serves. A first SIGINT or SIGTERM has it take nothing
    new and end when what is under way has ended; a second one ends it now.
    """
    served = {one.loaded.saga.target: one for one in sagas}
    first = next(iter(served.values())).settings
    client, place = await connect(address, namespace, first)
    where = client.service_client.config.target_host
    words = f"serves {', '.join(served)} at {where}; operations at a time: {operations}"
    await _register(client)
    common = {
        "graceful_shutdown_timeout": _FOR_EVER,
        "max_heartbeat_throttle_interval": _UNTHROTTLED,
        "deployment_config": _pinned(version),
    }
    with OwnLoop() as own:
        activities = Activities(served, operations, own)
        workers = _workers(client, activities, list(served), place, queues, operations, common)
        try:
            ended = await _until_stopped(activities, workers, lambda: ready(words))
            _require_ended_in_order(client, ended)
        finally:
            await activities.close()


async def _until_stopped(
    activities: Activities, workers: Sequence[Worker], ready: Callable[[], None]
) -> list[BaseException | None]:
    """How each has ended."""
    loop = asyncio.get_running_loop()
    for caught in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(caught, activities.stop)
    running = [asyncio.create_task(one.run()) for one in workers]
    try:
        ready()
        stopped = asyncio.create_task(activities.stopping.wait())
        await asyncio.wait({stopped, *running}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        # Not waited for: where a worker could not begin, some versions of the SDK never end it.
        asking = [asyncio.create_task(one.shutdown()) for one in workers]
        ended = await asyncio.gather(*running, return_exceptions=True)
        for one in asking:
            one.cancel()
    finally:
        for caught in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(caught)
    return ended


def _require_ended_in_order(client: Client, ended: Sequence[BaseException | None]) -> None:
    """Nothing but a signal ends a worker; what the SDK raises has no kinds."""
    for error in ended:
        if isinstance(error, RuntimeError):
            where = client.service_client.config.target_host
            raise AlmaError(
                f"Temporal at {where} has nothing for this worker any more: {shortened(str(error))}"
            ) from error
        if error is not None:
            raise error


def sandbox() -> SandboxedWorkflowRunner:
    """In which the workflow runs: what it takes of alma is data, and is not loaded again."""
    passed = SandboxRestrictions.default.with_passthrough_modules("alma", "msgspec")
    return SandboxedWorkflowRunner(restrictions=passed)


def _workers(
    client: Client,
    activities: Activities,
    targets: Sequence[str],
    place: str,
    queues: Sequence[str],
    operations: int,
    common: Mapping[str, Any],
) -> list[Worker]:
    """Each asks Temporal as seldom as it can: a worker has five questions open for each saga.

    By itself the SDK would have twenty, and a namespace has a limit.
    """
    books = [
        Worker(
            client,
            task_queue=queue_of(target, place),
            workflows=[RunWorkflow],
            workflow_runner=sandbox(),
            activities=activities.books,
            max_concurrent_workflow_task_polls=2,  # of which one is for those that it has begun
            max_concurrent_activity_task_polls=1,
            **common,
        )
        for target in targets
    ]
    own = queues or ("",)
    served = [host_queue_of(target, PLACE, queue) for target in targets for queue in own]
    served += queues or [operations_of(target, place) for target in targets]
    return books + [
        Worker(
            client,
            task_queue=queue,
            activities=[activities.turn],
            max_concurrent_activities=operations,
            max_concurrent_activity_task_polls=1,
            **common,
        )
        for queue in dict.fromkeys(served)
    ]


def _pinned(version: tuple[str, str] | None) -> WorkerDeploymentConfig | None:
    if version is None:
        return None
    name, build = version
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(deployment_name=name, build_id=build),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.PINNED,
    )


async def _register(client: Client) -> None:
    """Have the namespace know alma's search attributes; where that is not for us, do without."""
    keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
    request = AddSearchAttributesRequest(
        namespace=client.namespace, search_attributes=dict.fromkeys((SAGA, STACK, STATE), keyword)
    )
    try:
        await client.operator_service.add_search_attributes(request)
    except RPCError:
        return
