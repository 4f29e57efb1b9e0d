"""Starting the workflow of a run."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from alma.errors import AlmaError, RunnerBusyError
from alma.runner.temporal.orders import (
    SAGA,
    STACK,
    STATE,
    WORKFLOW,
    OpenText,
    Order,
    queue_of,
    workflow_id,
)

if TYPE_CHECKING:
    from temporalio.client import Client, WorkflowHandle


async def start(client: Client, order: Order, place: str) -> WorkflowHandle[object, str]:
    """The workflow; RunnerBusyError where one drives the target already."""
    keys = {SAGA: order.saga, STACK: order.stack, STATE: "pending"}
    attributes = TypedSearchAttributes(
        [
            SearchAttributePair(SearchAttributeKey.for_keyword(name), value)
            for name, value in keys.items()
        ]
    )
    for searchable in (True, False):
        try:
            return await client.start_workflow(
                WORKFLOW,
                dataclasses.replace(order, place=place, searchable=searchable),
                id=workflow_id(order.target),
                task_queue=queue_of(order.target, place),
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                memo={"run": OpenText(order.run)},
                search_attributes=attributes if searchable else None,
                static_summary=OpenText(f"{order.how} {order.target}, run {order.run}"),
                result_type=str,
            )
        except WorkflowAlreadyStartedError as error:
            raise RunnerBusyError(
                f"Temporal drives {order.target} already: workflow {workflow_id(order.target)} in "
                f"{client.namespace}.",
                hint="Wait for it, or see `alma-pulumi status`.",
            ) from error
        except RPCError as error:
            if searchable and "search attribute" in error.message.lower():
                continue  # the namespace has none of alma's, and it is not for us to add them
            raise AlmaError(f"Temporal does not start the workflow: {error.message}.") from error
    raise AssertionError("it was started, or refused")
