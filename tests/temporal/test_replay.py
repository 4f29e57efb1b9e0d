"""A run that was begun before an upgrade of alma goes on after it."""

from __future__ import annotations

import re

import pytest
from temporalio.workflow import NondeterminismError

from alma.runner.temporal.orders import INTERRUPT, NEXT, START, SUSPEND, TURN
from tests.temporal.reordered import Reordered
from tests.temporal.replaying import opened, replay, stored

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


def test_the_histories_tell_of_no_machine_and_of_nobody() -> None:
    """Not in what is sealed either: its key is in these tests. See `said_of_nobody`."""
    text = opened(list(STORED.values()))
    whose = re.findall(r"^([\w:-]+)@([\w.-]+?)(?:-[0-9a-f]{32})?$", text, re.MULTILINE)
    hosts = {host for _, host in whose} | set(re.findall(r"([\w.-]+)#", text))
    assert {re.sub(r"-\d+$", "", host) for host in hosts} == {"host", "w", "laptop"}
    assert {re.sub(r"^\d+$", "its pid", who) for who, _ in whose} == {
        "its pid",
        "temporal-cli:user",
    }
    assert re.findall(r"(?:^|[^\w/])/\w[\w./-]*|File ", text) == []
