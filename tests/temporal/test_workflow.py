"""The workflow by itself: its activities are answers that a test has thought of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from alma.runner.settings import HEARTBEAT
from alma.runner.temporal.orders import INTERRUPT, NEXT, TURN, Ask, Lead, Next, Order, Todo
from alma.runner.temporal.worker import sandbox
from alma.runner.temporal.workflow import RunWorkflow
from tests.services.temporal import Temporal

LONG = timedelta(seconds=60)


async def driven(temporal: Temporal, activities: Callable[[str], list[Any]]) -> str:
    """How a workflow ends that has these; one that goes on is ended, as a failure."""
    client = await Client.connect(temporal.address)
    queue = f"workflow-{uuid4().hex[:8]}"
    order = Order("r", queue, queue, "dev", "up", HEARTBEAT, epoch=1)
    async with Worker(
        client,
        task_queue=queue,
        workflows=[RunWorkflow],
        workflow_runner=sandbox(),
        activities=activities(queue),
    ):
        found: str = await client.execute_workflow(
            RunWorkflow.run, order, id=queue, task_queue=queue, execution_timeout=LONG
        )
    return found


async def test_a_run_with_nothing_left_to_do_fails_and_does_not_go_round_for_ever(
    temporal: Temporal,
) -> None:
    @activity.defn(name=NEXT)
    async def nothing(_ask: Ask) -> Next:
        return Next((), "running")

    with pytest.raises(WorkflowFailureError) as failed:
        await driven(temporal, lambda _queue: [nothing])
    cause = failed.value.cause
    assert isinstance(cause, ApplicationError), cause
    assert cause.type == "Stuck"


async def test_the_end_is_recorded_by_one_although_it_is_asked_for_twice(
    temporal: Temporal,
) -> None:
    """As where a last step's turn ends meanwhile, of which the journal has the outcome."""
    asked: list[tuple[str, ...]] = []
    taken: list[str] = []
    twice = asyncio.Event()

    def activities(queue: str) -> list[Any]:
        @activity.defn(name=NEXT)
        async def following(ask: Ask) -> Next:
            asked.append(ask.busy)
            if len(asked) > 1:
                twice.set()
            if not ask.busy and len(asked) > 1:
                return Next((), "completed", "completed")
            todo = [Todo(ask.lead, "finish", queue=queue)]
            if not ask.busy:
                todo.append(Todo(ask.lead, "execute", "b", 1, queue=queue))
            return Next(tuple(todo), "running")

        @activity.defn(name=TURN)
        async def turn(todo: Todo) -> str:
            taken.append(todo.what)
            if todo.what == "finish":
                await asyncio.wait_for(twice.wait(), HEARTBEAT)
            return "done"

        return [following, turn]

    assert await driven(temporal, activities) == "completed"
    assert asked == [(), ("",), ()]
    assert sorted(taken) == ["execute", "finish"]


async def test_a_cancel_that_comes_while_it_asks_is_recorded_while_a_turn_is_under_way(
    temporal: Temporal,
) -> None:
    """Which may take as long as the wait for a retry."""
    recorded = asyncio.Event()
    asked: list[tuple[str, ...]] = []

    def activities(queue: str) -> list[Any]:
        @activity.defn(name=NEXT)
        async def following(ask: Ask) -> Next:
            asked.append(ask.busy)
            if len(asked) == 1:
                await cancelled(temporal, queue)
                return Next((Todo(ask.lead, "execute", "b", 1, queue=queue),), "running")
            return Next((), "compensated", "" if ask.busy else "compensated")

        @activity.defn(name=INTERRUPT)
        async def interrupt(_lead: Lead) -> None:
            recorded.set()

        @activity.defn(name=TURN)
        async def turn(_todo: Todo) -> str:
            await asyncio.wait_for(recorded.wait(), HEARTBEAT)
            return "done"

        return [following, interrupt, turn]

    with pytest.raises(WorkflowFailureError) as failed:
        await driven(temporal, activities)
    assert isinstance(failed.value.cause, ApplicationError), failed.value.cause
    assert failed.value.cause.type == "compensated"
    assert asked == [(), ("b",), ()]


async def cancelled(temporal: Temporal, workflow: str) -> None:
    """By Temporal's own word, which the workflow has heard."""
    handle = (await Client.connect(temporal.address)).get_workflow_handle(workflow)
    await handle.cancel()
    asked = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED
    heard = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    while True:
        seen = [one.event_type async for one in handle.fetch_history_events()]
        if asked in seen and heard in seen[seen.index(asked) :]:
            return
        await asyncio.sleep(0.05)
