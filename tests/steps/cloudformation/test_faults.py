"""CloudFormation that answers late, or never; runners that are killed or told to stop."""

from __future__ import annotations

import signal
import time
from types import SimpleNamespace

import pytest

from alma import Retry
from alma.steps.cloudformation import following
from tests.steps.cloudformation.api import FakeCloudFormation, LostError, RefusalError
from tests.steps.cloudformation.tools import (
    SAGA,
    failing,
    saga_of,
)
from tests.steps.conftest import CANARY, Place
from tests.waiting import until


@pytest.mark.parametrize("action", ["CreateChangeSet", "ExecuteChangeSet", "DeleteStack"])
async def test_an_answer_that_is_lost(aws: FakeCloudFormation, action: str) -> None:
    """It is asked again with the same token, and nothing is done twice."""
    lost: list[str] = []

    def lose(asked: str, given: dict[str, str]) -> None:
        if asked == action and not lost:
            lost.append(given.get("ClientRequestToken") or given["ClientToken"])
            raise LostError

    aws.after = lose
    result = await failing(saga_of("A", "B", fails=True))
    assert result.state.name == "COMPENSATED"
    assert len(aws.stacks) == 1
    assert aws.world == set()
    again = [given for asked, given in aws.asked if asked == action]
    assert len(again) == 2
    assert {given.get("ClientRequestToken") or given["ClientToken"] for given in again} == {*lost}


async def test_a_service_that_throttles_or_is_away_for_a_while(aws: FakeCloudFormation) -> None:
    count = [0]

    def throttle(action: str, _given: dict[str, str]) -> None:
        count[0] += 1
        if action.startswith("Describe") and count[0] % 3 == 0:
            raise RefusalError("Throttling", "Rate exceeded", 400)
        if action == "DescribeStackEvents" and count[0] % 3 == 1:
            raise RefusalError("InternalFailure", "try later", 500)

    aws.before = throttle
    result = await failing(saga_of("A", fails=True))
    assert result.state.name == "COMPENSATED"
    assert aws.world == set()


async def test_a_service_that_refuses_is_not_asked_again(aws: FakeCloudFormation) -> None:
    def refuse(action: str, _given: dict[str, str]) -> None:
        if action == "CreateChangeSet":
            raise RefusalError("AccessDenied", "not for you", 403)

    aws.before = refuse
    result = await failing(saga_of("A", retry=Retry(attempts=3, delay=0)))
    assert result.state.name == "COMPENSATED"
    assert result.error is not None
    assert (result.error.kind, "not for you" in result.error.message) == ("refused", True)
    assert [action for action, _ in aws.asked].count("CreateChangeSet") == 1


@pytest.mark.parametrize("forward", [True, False])
def test_a_runner_that_was_killed(place: Place, aws: FakeCloudFormation, *, forward: bool) -> None:
    """CloudFormation goes on by itself. It is waited for, and known again by its change set."""
    (place.root / "saga.py").write_text(SAGA)
    aws.frozen = True
    runner = place.start("up", "saga.py", "--yes")
    until(lambda: aws.stacks and aws.stacks[0].status == "CREATE_IN_PROGRESS")
    place.kill(runner)
    aws.frozen = False
    if forward:
        code, said = place.alma("resume", "latest")
        assert code == 0, said
        assert [one.status for one in aws.stacks] == ["CREATE_COMPLETE"]
        assert len(aws.world) == 2
    else:
        (place.root / "saga.py").unlink()
        code, said = place.alma("rollback", "latest", "--yes")
        assert code == 4, said
        assert [one.status for one in aws.stacks] == ["DELETE_COMPLETE"]
        assert aws.world == set()
    assert place.holding(CANARY, but=("saga.py",)) == []


def test_an_undo_that_was_killed(place: Place, aws: FakeCloudFormation) -> None:
    """The stack is gone when the undo is taken up again; what it has retained is still known."""
    text = SAGA.replace('"B")', '"B", B="Retain")')
    text += "\n\ndef broken() -> None:\n    raise RuntimeError\n\n\nsaga.add_step(broken, 'none')\n"
    (place.root / "saga.py").write_text(text)

    def freeze(action: str, _given: dict[str, str]) -> None:
        aws.frozen = aws.frozen or action == "DeleteStack"

    aws.before = freeze
    runner = place.start("up", "saga.py", "--yes")
    until(lambda: aws.frozen and aws.stacks[0].status == "DELETE_IN_PROGRESS")
    place.kill(runner)
    aws.before = lambda _action, _given: None
    aws.frozen = False
    (place.root / "saga.py").unlink()
    aws.on_DescribeStacks({"StackName": aws.stacks[0].id})
    assert aws.stacks[0].status == "DELETE_COMPLETE"
    code, said = place.alma("rollback", "latest", "--yes")
    assert code == 10, said
    assert "retained" in said
    assert len(aws.world) == 1


@pytest.mark.parametrize("forward", [True, False], ids=["resume", "rollback"])
def test_a_change_set_that_nobody_has_executed(
    place: Place, aws: FakeCloudFormation, *, forward: bool
) -> None:
    """The runner was killed in between: an empty stack in REVIEW_IN_PROGRESS is this run's own."""
    (place.root / "saga.py").write_text(SAGA)

    def lose(action: str, _given: dict[str, str]) -> None:
        if action == "ExecuteChangeSet":
            raise LostError

    aws.before = lose
    runner = place.start("up", "saga.py", "--yes")
    until(lambda: "ExecuteChangeSet" in [action for action, _ in aws.asked])
    place.kill(runner)
    aws.before = lambda _action, _given: None
    assert [one.status for one in aws.stacks] == ["REVIEW_IN_PROGRESS"]
    code, said = place.alma("resume" if forward else "rollback", "latest", *(["--yes"][forward:]))
    assert code == (0 if forward else 4), said
    assert [one.status for one in aws.stacks] == [
        "CREATE_COMPLETE" if forward else "DELETE_COMPLETE"
    ]
    assert len(aws.world) == (2 if forward else 0)


def test_one_signal_ends_a_create_by_deleting_it(place: Place, aws: FakeCloudFormation) -> None:
    (place.root / "saga.py").write_text(SAGA)
    aws.frozen = True

    def thaw(action: str, _given: dict[str, str]) -> None:
        if action == "DeleteStack":
            aws.frozen = False

    aws.after = thaw
    runner = place.start("up", "saga.py", "--yes")
    until(lambda: aws.stacks and aws.stacks[0].status == "CREATE_IN_PROGRESS")
    runner.send_signal(signal.SIGINT)
    assert runner.wait(timeout=300) == 4
    assert [one.status for one in aws.stacks] == ["DELETE_COMPLETE"]


async def test_at_the_deadline_an_update_turns_back(
    aws: FakeCloudFormation, monkeypatch: pytest.MonkeyPatch
) -> None:
    await saga_of("A").execute()
    late = [0.0]
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + late[0])
    monkeypatch.setattr(following, "time", clock)

    def pass_by(action: str, _given: dict[str, str]) -> None:
        if action == "ExecuteChangeSet":
            aws.frozen, late[0] = True, 1000.0
        if action == "CancelUpdateStack":
            aws.frozen = False

    aws.after = pass_by
    result = await failing(saga_of("A", size="2", timeout=900))
    assert result.error is not None
    assert (result.error.kind, result.state.name) == ("timeout", "COMPENSATED")
    assert "CancelUpdateStack" in [action for action, _ in aws.asked]
