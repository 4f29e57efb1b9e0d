"""A run that was begun before an upgrade of alma goes on after it."""

from __future__ import annotations

import pytest
from temporalio.workflow import NondeterminismError

from alma.runner.temporal.orders import INTERRUPT, NEXT, START, SUSPEND, TURN
from tests.temporal.reordered import Reordered
from tests.temporal.replaying import replay, stored

STORED = stored()


@pytest.mark.parametrize("name", STORED)
def test_histories_of_earlier_versions_are_replayed(name: str) -> None:
    replay(STORED[name])


@pytest.mark.parametrize("name", ["completed"])
def test_another_order_of_its_commands_does_not_pass(name: str) -> None:
    with pytest.raises(NondeterminismError):
        replay(STORED[name], Reordered)


def test_the_histories_hold_whatever_a_workflow_asks_for() -> None:
    events = [one for history in STORED.values() for one in history["events"]]
    asked = [one.get("activityTaskScheduledEventAttributes") for one in events]
    assert {one["activityType"]["name"] for one in asked if one} == {
        START,
        NEXT,
        TURN,
        INTERRUPT,
        SUSPEND,
    }
    kinds = {one["eventType"].removeprefix("EVENT_TYPE_") for one in events}
    assert kinds >= {
        "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES",
        "ACTIVITY_TASK_TIMED_OUT",
        "WORKFLOW_EXECUTION_CANCEL_REQUESTED",
        "WORKFLOW_EXECUTION_COMPLETED",
        "WORKFLOW_EXECUTION_CONTINUED_AS_NEW",
        "WORKFLOW_EXECUTION_FAILED",
    }
