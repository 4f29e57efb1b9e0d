"""Steps by CloudFormation, over a small one that does what LocalStack does not do as AWS does.

What LocalStack does as AWS is in tests/integration/aws/test_cloudformation.py.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from alma import Context, Retry, SagaFailed, Secret, destroy, rollback
from alma.steps.cloudformation import gone
from alma.steps.cloudformation.gone import left_of
from alma.steps.cloudformation.service import Place as Where
from alma.steps.cloudformation.service import Service
from tests.steps.cloudformation.api import FakeCloudFormation, Made
from tests.steps.cloudformation.tools import (
    STACK,
    THING,
    failing,
    make_theirs,
    named,
    saga_of,
)
from tests.steps.conftest import CANARY, Place


async def test_made_used_changed_and_deleted(place: Place, aws: FakeCloudFormation) -> None:
    """Outputs are texts; what holds a NoEcho parameter is a secret, which is nowhere in plain."""
    told: list[Any] = []

    def use(context: Context) -> None:
        told.append(context.inputs["key"])

    saga = saga_of("A", "B", parameters={"Password": CANARY, "Mode": True})
    saga.add_step(use, "none", inputs={"key": saga.steps[0].output("Key")})
    result = await saga.execute()
    assert result.outputs["data"]["Mode"] == "true"
    assert told == [Secret(CANARY)]
    assert result.status.steps["data"].changes == {"create": 2}
    assert len(aws.world) == 2
    assert place.holding(CANARY) == []
    [log] = place.root.rglob("cloudformation.log")
    assert "B CREATE_COMPLETE" in log.read_text()

    again = saga_of("A", "B", parameters={"Password": CANARY, "Mode": True})
    assert (await again.execute()).status.steps["data"].changes == {"same": 2}
    await saga_of("A", "C", parameters={"Mode": "plain"}).execute()
    assert sorted(name[0] for name in aws.world) == ["A", "C"]
    ended = await destroy(saga)
    assert ended.status.steps["data"].how == "destroyed"
    assert aws.world == set()
    tokens = {given["ClientRequestToken"] for action, given in aws.asked if action == "DeleteStack"}
    assert len(tokens) == 1
    assert place.holding(CANARY) == []


async def test_a_create_that_fails_is_rolled_back_and_deleted(aws: FakeCloudFormation) -> None:
    """ROLLBACK_COMPLETE is no end: the stack is still there, and its name taken."""
    aws.broken = {("create", "B")}
    result = await failing(saga_of("A", "B"))
    assert result.state.name == "COMPENSATED"
    assert result.error is not None
    assert (result.error.urn, "no room for B" in result.error.message) == ("B", True)
    assert aws.stacks[0].status == "DELETE_COMPLETE"
    assert aws.world == set()

    aws.broken.clear()
    await saga_of("A", "B").execute()
    assert aws.stacks[1].status == "CREATE_COMPLETE"


@pytest.mark.parametrize("verb", ["create", "rollback"])
async def test_a_second_attempt_deletes_what_the_first_has_left(
    aws: FakeCloudFormation, verb: str
) -> None:
    """A stack whose create failed can only be deleted; ROLLBACK_FAILED as well."""
    aws.broken = {("create", "B")}
    if verb == "rollback":
        aws.broken.add(("delete", "A"))

    def mended(action: str, _given: dict[str, str]) -> None:
        if action == "DeleteStack":
            aws.broken.clear()

    aws.before = mended
    await saga_of("A", "B", retry=Retry(attempts=2, delay=0)).execute()
    assert [one.status for one in aws.stacks] == ["DELETE_COMPLETE", "CREATE_COMPLETE"]
    assert len(aws.world) == 2


async def test_what_a_delete_cannot_take_away_is_named(
    aws: FakeCloudFormation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DELETE_FAILED: a leftover with its reason, and gone once it can go."""
    aws.broken = {("delete", "B")}
    result = await failing(saga_of("A", "B", fails=True))
    assert result.state.name == "FAILED"
    assert named(result) == ["B", "stack"]
    assert "B is not empty" in result.leftovers[0].reason
    [held] = aws.world
    assert result.leftovers[0].id == held
    aws.broken.clear()
    monkeypatch.setenv("AWS_DEFAULT_REGION", "elsewhere-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDFORMATION", "http://127.0.0.1:9")
    with pytest.raises(SagaFailed) as failed:
        await rollback()  # by the journal alone, where the run went
    assert failed.value.result.state.name == "COMPENSATED"
    assert aws.world == set()


async def test_what_is_retained_is_named_and_never_clean(aws: FakeCloudFormation) -> None:
    result = await failing(saga_of("A", "B", fails=True, B="Retain"))
    assert aws.stacks[0].status == "DELETE_COMPLETE"
    assert result.state.name == "FAILED"
    [left] = result.leftovers
    assert (left.urn, {left.id}) == ("B", aws.world)
    assert "retained" in left.reason
    with pytest.raises(SagaFailed) as failed:
        await rollback()
    assert failed.value.result.state.name == "FAILED"


async def test_a_delete_that_only_says_so_is_not_believed(aws: FakeCloudFormation) -> None:
    """The stack is DELETE_COMPLETE, and of a resource nobody ever told that it is."""
    real = aws._deleting

    def forgetful(stack: Any, keep: tuple[str, ...]) -> None:
        stack.resources.pop("A")
        real(stack, keep)

    aws._deleting = forgetful  # type: ignore[method-assign]
    result = await failing(saga_of("A", "B", fails=True))
    assert result.state.name == "FAILED"
    assert named(result) == ["A"]
    assert len(aws.world) == 1


async def test_termination_protection_is_nobodys_to_take_off(aws: FakeCloudFormation) -> None:
    saga = saga_of("A")

    def protect() -> None:
        aws.stacks[0].protected = True
        raise RuntimeError("asked to")

    saga.add_step(protect, "none")
    result = await failing(saga)
    assert result.state.name == "FAILED"
    assert named(result) == ["stack", "A"]
    assert "termination protection" in result.leftovers[0].reason
    assert len(aws.world) == 1


async def test_a_stack_of_the_same_name_is_not_ours(aws: FakeCloudFormation) -> None:
    """Somebody deletes the run's own, and makes another one: that stays, at the undo and later."""
    saga = saga_of("A")

    def swap() -> None:
        aws.on_DeleteStack({"StackName": STACK})
        aws.on_DescribeStacks({"StackName": aws.stacks[0].id})
        make_theirs(aws)
        raise RuntimeError("asked to")

    saga.add_step(swap, "none")
    result = await failing(saga)
    assert result.state.name == "COMPENSATED"
    assert aws.stacks[1].status == "CREATE_COMPLETE"
    await destroy(saga)
    assert aws.stacks[1].status == "CREATE_COMPLETE"
    assert len(aws.world) == 1


async def test_who_was_faster_keeps_what_is_theirs(aws: FakeCloudFormation) -> None:
    """Between the look and the change set: the run has made nothing, and deletes nothing."""

    def hurry(action: str, _given: dict[str, str]) -> None:
        if action == "CreateChangeSet":
            aws.before = lambda _action, _given: None
            make_theirs(aws)

    aws.before = hurry
    result = await failing(saga_of("A", retry=Retry(attempts=2, delay=0)))
    assert result.state.name == "COMPENSATED"
    assert [one.status for one in aws.stacks] == ["CREATE_COMPLETE"]
    assert len(aws.world) == 1


async def test_a_destroy_leaves_what_no_run_has_made(
    aws: FakeCloudFormation, tmp_path: Path
) -> None:
    await saga_of("A").execute()
    (tmp_path / ".alma").rename(tmp_path / "elsewhere")
    with pytest.raises(SagaFailed) as failed:
        await destroy(saga_of("A"))
    assert named(failed.value.result) == ["stack", "A"]
    assert "no run in this journal" in failed.value.result.leftovers[0].reason
    assert len(aws.world) == 1


async def test_a_nested_stack_is_looked_into(aws: FakeCloudFormation) -> None:
    """Its parent says that it is deleted; what it has retained is left all the same."""
    inner = Made(name="inner", id="arn:aws:x:y:z:stack/inner/1", status="DELETE_COMPLETE")
    inner.resources = {"Disk": {"id": "disk-1", "type": THING}}
    aws.told(inner, "DELETE_SKIPPED", "Disk")
    outer = Made(name="outer", id="arn:aws:x:y:z:stack/outer/1", status="DELETE_COMPLETE")
    outer.resources = {"Inner": {"id": inner.id, "type": "AWS::CloudFormation::Stack"}}
    aws.told(outer, "DELETE_COMPLETE", "Inner")
    aws.stacks += [inner, outer]
    left = await left_of(Service(Where(region="eu-test-1", endpoint=aws.url)), outer.id)
    assert [(one.name, one.id, one.retained) for one in left] == [("inner/Disk", "disk-1", True)]


@pytest.mark.parametrize("told", [True, False])
async def test_a_resource_whose_end_is_told_after_its_stacks_is_waited_for(
    aws: FakeCloudFormation, monkeypatch: pytest.MonkeyPatch, told: bool
) -> None:
    """And is left where that end never comes."""
    monkeypatch.setattr(gone, "SETTLES", 60.0 if told else 0.1)
    stack = Made(name="late", id="arn:aws:x:y:z:stack/late/1", status="DELETE_COMPLETE")
    stack.resources = {"Disk": {"id": "disk-1", "type": THING}}
    aws.told(stack, "DELETE_IN_PROGRESS", "Disk")
    aws.stacks.append(stack)
    service = Service(Where(region="eu-test-1", endpoint=aws.url))
    looking = asyncio.create_task(left_of(service, stack.id, just_now=True))
    await asyncio.sleep(0)
    assert [one.name for one in await left_of(service, stack.id)] == ["Disk"]
    if told:
        assert not looking.done()
        aws.told(stack, "DELETE_COMPLETE", "Disk")
    assert [one.name for one in await looking] == ([] if told else ["Disk"])
