"""A run as a workflow: it asks what to do, has it done, and goes round.

It holds no state of its own: a replay, a reset or a continue-as-new costs nothing. Loaded again in
Temporal's sandbox: nothing happens at import.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy, SearchAttributeKey
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutType
from temporalio.exceptions import TimeoutError as ActivityTimeoutError

with workflow.unsafe.imports_passed_through():
    from alma.runner.temporal.orders import (
        INTERRUPT,
        INTERRUPTED,
        NEXT,
        START,
        STATE,
        SUPERSEDED,
        SUSPEND,
        TURN,
        WORKFLOW,
        Ask,
        Next,
        OpenText,
        Order,
        Todo,
        lead_of,
    )

T = TypeVar("T")

FOR_EVER: Final = timedelta(days=3650)
"""An operation ends by alma's own deadline, never by Temporal's: a CLI that is cut off leaves what
nobody has seen. A worker that is lost is known by its heartbeats."""
AGAIN: Final = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(seconds=30),
)
"""Without end: what an activity raises is that nobody could try, or that nobody knows what became
of it. What has failed is an outcome, and in the journal."""
_STATE: Final = SearchAttributeKey.for_keyword(STATE)


@workflow.defn(name=WORKFLOW)
class RunWorkflow:
    """See the module."""

    def __init__(self) -> None:
        self._busy: dict[str, asyncio.Task[Any]] = {}
        self._asked_to_stop = False
        self._told = False
        self._state = self._shown = ""

    @workflow.run
    async def run(self, order: Order) -> str:
        """Drive the run to its end; the state it has ended in, or why it goes on elsewhere."""
        if not order.epoch:
            epoch = await self._undisturbed(self._keep(START, order, int, heartbeat=order))
            order = replace(order, epoch=epoch)
        over = await self._go_round(order) if order.epoch else "ended"
        if over in ("completed", "ended", INTERRUPTED):
            return OpenText(over)
        raise ApplicationError(OpenText(self._shown), type=over, non_retryable=True)

    async def _go_round(self, order: Order) -> str:
        lead = lead_of(order)
        while True:
            if self._is_to_tell():
                await self._undisturbed(self._keep(INTERRUPT, lead, None))
                self._told = True
            leave = workflow.info().is_continue_as_new_suggested()
            if leave and not self._busy:
                workflow.continue_as_new(order)
            if not leave:
                found: Next = await self._undisturbed(
                    self._keep(NEXT, Ask(lead, tuple(sorted(self._busy))), Next)
                )
                self._show(order, found)
                if found.over and not self._busy:
                    return found.over
                for todo in found.todo:
                    if todo.step not in self._busy:  # the end is asked for until it is there
                        self._busy[todo.step] = asyncio.create_task(self._do(todo))
                if not self._busy:  # it would go round for ever
                    words = f"Nothing is left to do, and {order.run} goes on."
                    raise ApplicationError(words, type="Stuck", non_retryable=True)
            if not self._is_to_tell():  # it may have been asked to stop as it asked
                await self._some()

    def _is_to_tell(self) -> bool:
        """Whether somebody has asked to stop, and the journal does not say so yet."""
        return self._asked_to_stop and not self._told

    async def _some(self) -> None:
        """Until a turn has ended, or somebody has asked to stop."""
        try:
            await workflow.wait(self._busy.values(), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._asked_to_stop = True
        for step, task in list(self._busy.items()):
            if task.done():
                del self._busy[step]
                task.result()

    async def _do(self, todo: Todo) -> None:
        words = f"{todo.what} {todo.step}".strip()
        patience = timedelta(seconds=todo.patience) if todo.patience else None
        try:
            await workflow.execute_activity(
                TURN,
                todo,
                task_queue=todo.queue,
                result_type=str,
                start_to_close_timeout=FOR_EVER,
                schedule_to_start_timeout=patience,
                heartbeat_timeout=timedelta(seconds=todo.lead.heartbeat),
                retry_policy=AGAIN,
                summary=OpenText(words),
            )
        except ActivityError as error:
            cause = error.cause
            if isinstance(cause, ApplicationError) and cause.type == SUPERSEDED:
                return  # the next question is answered so, too
            late = (
                isinstance(cause, ActivityTimeoutError)
                and cause.type == TimeoutType.SCHEDULE_TO_START
            )
            if not late:
                raise
            if todo.then:
                await self._do(replace(todo, queue=todo.then, patience=0.0, then=""))
            else:
                await self._keep(SUSPEND, todo, None)

    def _keep(
        self, activity: str, given: Any, result: type[Any] | None, *, heartbeat: Order | None = None
    ) -> workflow.ActivityHandle[Any]:
        """An activity that keeps the books, on the workflow's own queue."""
        beat = timedelta(seconds=heartbeat.heartbeat) if heartbeat else None
        return workflow.start_activity(
            activity,
            given,
            result_type=result,
            start_to_close_timeout=FOR_EVER if heartbeat else timedelta(minutes=2),
            heartbeat_timeout=beat,
            retry_policy=AGAIN,
        )

    async def _undisturbed(self, work: Awaitable[T]) -> T:
        """A cancellation is noted, and does not reach what is under way."""
        task = asyncio.ensure_future(work)
        while True:
            try:
                return await asyncio.shield(task)
            except asyncio.CancelledError:
                if task.cancelled():
                    raise
                self._asked_to_stop = True

    def _show(self, order: Order, found: Next) -> None:
        self._shown = found.shown
        workflow.set_current_details(found.shown)
        if found.state != self._state and order.searchable:
            workflow.upsert_search_attributes([_STATE.value_set(found.state)])
        self._state = found.state
