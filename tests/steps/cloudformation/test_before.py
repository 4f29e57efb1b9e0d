"""A CloudFormation stack that was there before the run, its drift and its repair."""

from __future__ import annotations

import json

import pytest

from alma import Saga, SagaFailed
from alma.errors import DefinitionError
from alma.runner.drift import drift
from alma.runner.preview import preview
from alma.runner.repair import repair
from tests.steps.cloudformation.api import FakeCloudFormation
from tests.steps.cloudformation.tools import (
    STACK,
    THING,
    broken,
    failing,
    named,
    saga_of,
    template,
)
from tests.steps.conftest import CANARY, Place


async def test_what_was_there_is_put_back(aws: FakeCloudFormation) -> None:
    """Template and parameters, by the journal and what is kept beside it."""
    await saga_of("A", "B", parameters={"Password": CANARY, "Mode": "old"}).execute()
    now = aws.stacks[0]
    was = json.dumps([now.template, now.parameters], sort_keys=True)
    kept = {name: one["id"] for name, one in now.resources.items()}
    options = {"parameters": {"Password": CANARY, "Mode": "new"}, "size": "2"}
    result = await failing(saga_of("A", "C", fails=True, **options))
    assert result.state.name == "COMPENSATED"
    assert result.status.steps["data"].how == "restored"
    assert json.dumps([now.template, now.parameters], sort_keys=True) == was
    assert now.resources["A"]["id"] == kept["A"]
    assert [one.urn for one in result.status.steps["data"].renewed] == ["B"]
    assert len(aws.world) == 2


async def test_a_hidden_value_cannot_be_put_back() -> None:
    """NoEcho: nobody can read what it was. Where it is the same as before, there is nothing to."""
    await saga_of("A", parameters={"Password": "the first"}).execute()
    result = await failing(saga_of("A", fails=True, parameters={"Password": "the second"}))
    assert result.state.name == "FAILED"
    assert named(result) == ["parameter Password"]
    foreseen = await preview(saga_of("A", parameters={"Password": "a third"}))
    [seen] = foreseen.steps
    assert [one.urn for one in seen.foreseen.at_risk] == ["parameter Password"]


async def test_a_hidden_parameter_that_is_removed_is_at_risk(aws: FakeCloudFormation) -> None:
    await saga_of("A", parameters={"Password": "the first"}).execute()
    saga = Saga("shop", stack="dev")
    saga.add_cloudformation("data", {"Resources": {"A": {"Type": THING}}})
    saga.add_step(broken, "none")
    [seen, _] = (await preview(saga)).steps
    assert [one.urn for one in seen.foreseen.at_risk] == ["parameter Password"]
    result = await failing(saga)
    assert result.state.name == "FAILED"
    assert "removed the NoEcho parameter" in result.leftovers[0].reason
    assert len(aws.world) == 1


async def test_what_is_as_it_was_is_left_alone(aws: FakeCloudFormation) -> None:
    await saga_of("A").execute()
    result = await failing(saga_of("A", fails=True))
    assert (result.state.name, result.status.steps["data"].how) == ("COMPENSATED", "unchanged")
    assert [action for action, _ in aws.asked].count("ExecuteChangeSet") == 1


async def test_an_update_that_fails_is_rolled_back_and_seen_to_be(aws: FakeCloudFormation) -> None:
    """UPDATE_ROLLBACK_COMPLETE: with a hidden value that CloudFormation itself has put back."""
    await saga_of("A", parameters={"Password": "the first"}).execute()
    aws.broken = {("create", "B")}
    result = await failing(saga_of("A", "B", size="2", parameters={"Password": "second"}))
    assert (result.state.name, result.status.steps["data"].how) == ("COMPENSATED", "restored")
    assert aws.stacks[0].parameters == {"Password": "the first"}
    assert len(aws.world) == 1


async def test_a_rollback_that_is_stuck_goes_on_by_an_operators_word(
    place: Place, aws: FakeCloudFormation
) -> None:
    """UPDATE_ROLLBACK_FAILED: named with the way out; skipped at a word, and then named as well."""
    await saga_of("A", "B").execute()
    aws.broken = {("create", "C"), ("rollback", "A")}
    result = await failing(saga_of("A", "B", "C", size="2"))
    assert result.state.name == "FAILED"
    assert aws.stacks[0].status == "UPDATE_ROLLBACK_FAILED"
    assert "A does not go back" in result.leftovers[0].reason
    code, said = place.alma("rollback", "latest", "--yes", "--skip-resource", "data:A")
    assert code == 10, said
    assert aws.stacks[0].status in ("UPDATE_ROLLBACK_COMPLETE", "UPDATE_COMPLETE")
    assert "its rollback was skipped" in said
    code, said = place.alma("rollback", "latest", "--yes", "--skip-resource", "nope:A")
    assert code == 2, said


async def test_who_changed_it_since_is_not_overwritten(aws: FakeCloudFormation) -> None:
    await saga_of("A").execute()
    saga = saga_of("A", size="2")

    def meddle() -> None:
        stack = aws.stacks[0]
        stack.change_set, stack.updated = "arn:aws:x:y:z:changeSet/theirs/1", 40
        raise RuntimeError("asked to")

    saga.add_step(meddle, "none")
    result = await failing(saga)
    assert result.state.name == "FAILED"
    assert "somebody else has changed the stack" in result.leftovers[0].reason


async def test_another_sagas_stack_is_refused(aws: FakeCloudFormation) -> None:
    await saga_of("A").execute()
    other = Saga("other", stack="dev")
    other.add_cloudformation("data", template("B"), stack_name=STACK)
    with pytest.raises(SagaFailed) as failed:
        await other.execute()
    assert "is that of shop/dev" in str(failed.value.result.error)
    assert {name[0] for name in aws.world} == {"A"}


async def test_what_nobody_has_changed_is_left_alone(aws: FakeCloudFormation) -> None:
    """With `changed`: not a request beside the look; who has changed it is seen."""
    await saga_of("A").execute()
    result = await saga_of("A").execute(changed=True)
    assert result.status.steps["data"].unchanged_since
    aws.stacks[0].updated = 40
    result = await saga_of("A").execute(changed=True)
    started = result.status.steps["data"].started
    assert started is not None
    assert "changed by somebody else" in str(started.why)


async def test_drift_is_what_no_drift_asks_for(aws: FakeCloudFormation) -> None:
    aws.drifted = {"A": "DELETED"}
    result = await failing(saga_of("A", ready="no-drift", ready_timeout=0.2))
    assert result.state.name == "COMPENSATED"
    assert result.error is not None
    assert result.error.kind == "unready"
    aws.drifted = {}
    await saga_of("A", ready="no-drift").execute()


async def test_drift_is_told_by_resource_and_what_it_does_not_tell_of_is_named(
    aws: FakeCloudFormation,
) -> None:
    """A repair is refused: an update changes nothing that the template has not changed."""
    saga = saga_of("A", "B", "C")
    await saga.execute()
    aws.drifted = {"A": "MODIFIED", "B": "IN_SYNC"}
    size = {"PropertyPath": "/Tags/0/Value", "ExpectedValue": "1", "ActualValue": "2"}
    aws.differences = {"A": {**size, "DifferenceType": "NOT_EQUAL"}}
    found = await drift(saga)
    [step] = found.steps
    [one] = step.drift.resources
    assert (found.exit_code, one.urn, one.op) == (12, "A", "update")
    assert [(each.path, each.was, each.now) for each in one.properties] == [
        ("Tags.0.Value", "1", "2")
    ]
    assert [name for name, _ in step.drift.unasked] == ["C"]
    aws.drifted["C"] = "IN_SYNC"
    with pytest.raises(DefinitionError, match="its template has not changed"):
        await repair(saga)
    aws.drifted, aws.differences = {"B": "IN_SYNC", "C": "IN_SYNC"}, {}
    assert (await drift(saga)).exit_code == 1
    aws.drifted["A"] = "IN_SYNC"
    assert (await drift(saga)).exit_code == 0
