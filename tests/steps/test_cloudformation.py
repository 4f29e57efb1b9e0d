"""Steps by CloudFormation, over a small one that does what LocalStack does not do as AWS does.

What LocalStack does as AWS is in tests/integration/aws/test_cloudformation.py.
"""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from alma import Context, Retry, Saga, SagaFailed, Secret, destroy, rollback
from alma.core.result import Result
from alma.errors import DefinitionError
from alma.runner.drift import drift
from alma.runner.preview import preview
from alma.runner.repair import repair
from alma.saga.given_values import Arguments
from alma.saga.target import load_saga
from alma.steps.cloudformation import following, gone
from alma.steps.cloudformation.gone import left_of
from alma.steps.cloudformation.service import Place as Where
from alma.steps.cloudformation.service import Service
from tests.steps.cloudformation_api import FakeCloudFormation, LostError, Made, RefusalError, serve
from tests.steps.conftest import CANARY, Place
from tests.waiting import until

THING = "Test::Made::Thing"
STACK = "shop-dev-data"


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCloudFormation]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-test-1")
    monkeypatch.setattr(following, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(following, "LONGEST_PAUSE", 0.05)
    with serve() as fake:
        monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDFORMATION", fake.url)
        yield fake


def template(*names: str, size: str = "1", **policies: str) -> dict[str, Any]:
    """Things, one of them told a password; `policies` by name."""
    found: dict[str, Any] = {
        name: {"Type": THING, "Properties": {"Size": size if name == "A" else "1"}}
        for name in names
    }
    for name, policy in policies.items():
        found[name]["DeletionPolicy"] = policy
    found[names[0]]["Properties"]["Password"] = {"Ref": "Password"}
    return {
        "Parameters": {
            "Password": {"Type": "String", "NoEcho": True, "Default": "none"},
            "Mode": {"Type": "String", "Default": "plain"},
        },
        "Resources": found,
        "Outputs": {"Mode": {"Value": {"Ref": "Mode"}}, "Key": {"Value": {"Ref": "Password"}}},
    }


def saga_of(*names: str, fails: bool = False, **options: Any) -> Saga:
    """One stack; then a step that fails, if it shall."""
    saga = Saga("shop", stack="dev")
    given = {key: options.pop(key) for key in ("size", *names) if key in options}
    saga.add_cloudformation("data", template(*names, **given), **options)
    if fails:
        saga.add_step(broken, "none")
    return saga


def broken() -> None:
    raise RuntimeError("asked to")


@pytest.fixture(autouse=True)
def here(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place.root)


async def failing(saga: Saga) -> Result:
    with pytest.raises(SagaFailed) as failed:
        await saga.execute()
    return failed.value.result


def named(result: Result) -> list[str]:
    """What is left, by resource or, of the stack as a whole, as `stack`."""
    return [left.urn or "stack" for left in result.leftovers]


# -- what it made --------------------------------------------------------------------------------


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


def make_theirs(aws: FakeCloudFormation) -> None:
    """Somebody else makes a stack of the same name."""
    made = aws.on_CreateChangeSet(
        {
            "StackName": STACK,
            "ChangeSetName": "theirs",
            "ChangeSetType": "CREATE",
            "ClientToken": "theirs",
            "TemplateBody": json.dumps(template("A")),
        }
    )
    aws.on_ExecuteChangeSet({"ChangeSetName": made["Id"], "ClientRequestToken": "theirs"})
    aws.on_DescribeStacks({"StackName": STACK})


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


# -- what was there before -----------------------------------------------------------------------


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


# -- faults on the way -----------------------------------------------------------------------------


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


SAGA = """
from alma import Saga, Secret
from tests.steps.test_cloudformation import template

saga = Saga("shop", stack="dev")
saga.add_cloudformation("data", template("A", "B"), parameters={"Password": "canary-7Qx9wV-secret"})
"""


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


def test_the_same_in_yaml(place: Place) -> None:
    """A saga in YAML has the same definition as one in Python."""
    (place.root / "data.json").write_text(json.dumps(template("A")))
    (place.root / "saga.yaml").write_text(
        "name: shop\nsteps:\n"
        "- {name: first, kind: cloudformation, template: data.json, stack_name: one}\n"
        "- {name: data, kind: cloudformation, template: data.json, region: eu-test-1,\n"
        "   capabilities: [CAPABILITY_IAM], parameters: {Mode: '${first.Mode}',\n"
        "   Password: {secret: {plain: x}}}}\n"
    )
    there = load_saga("saga.yaml", Arguments()).saga
    here = Saga("shop")
    first = here.add_cloudformation("first", "data.json", stack_name="one")
    here.add_cloudformation(
        "data",
        Path("data.json"),
        region="eu-test-1",
        capabilities=["CAPABILITY_IAM"],
        parameters={"Mode": first.output("Mode"), "Password": Secret("x")},
    )
    assert there.definition() == here.definition()
    assert there.steps[1].inputs == here.steps[1].inputs
    assert there.steps[1].parameters == here.steps[1].parameters  # type: ignore[attr-defined]


# -- before anything starts ------------------------------------------------------------------------


BAD: dict[str, tuple[Any, dict[str, Any], str]] = {
    "no file": ("nowhere.yaml", {}, "nowhere.yaml cannot be read"),
    "no YAML": ("Resources:\n  A: [", {}, "line 2, column 7"),
    "nothing in it": ({"Resources": {}}, {}, "has no Resources"),
    "a secret in it": ({"Resources": {"A": Secret("x")}}, {}, "holds a Secret"),
    "an unknown parameter": (template("A"), {"parameters": {"Size": 1}}, "no parameter"),
    "a secret to be shown": (template("A"), {"parameters": {"Mode": Secret("x")}}, "be shown"),
    "a name": (template("A"), {"stack_name": "a_b"}, "cannot be the name"),
    "too large": ({"Resources": {"A": "x" * 60_000}}, {}, "51200 bytes"),
    "a capability": (template("A"), {"capabilities": "IAM"}, "CAPABILITY_IAM"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_right_is_refused_in_a_sentence(case: str) -> None:
    given, options, words = BAD[case]
    with pytest.raises(DefinitionError, match=words):
        Saga("shop").add_cloudformation("data", given, **options)


async def test_a_template_that_cloudformation_does_not_take() -> None:
    """It is asked before anything starts."""
    saga = Saga("shop")
    ran: list[str] = []
    saga.add_step(lambda: ran.append("x"), "none", name="first")
    saga.add_cloudformation("data", {"Resources": {"A": {"Type": "Thing"}}})
    with pytest.raises(DefinitionError, match="has no type"):
        await saga.execute()
    assert ran == []


async def test_a_preview_changes_nothing(aws: FakeCloudFormation) -> None:
    """By a change set that is taken back, with the stack that there was for it alone; and drift."""
    foreseen = await preview(saga_of("A", "B", B="Retain"))
    [seen] = foreseen.steps
    assert seen.foreseen.changes == {"create": 2}
    assert [one.urn for one in seen.foreseen.at_risk] == ["B"]
    assert (aws.world, aws.change_sets) == (set(), {})
    await saga_of("A").execute()
    assert len(aws.stacks) == 2
    aws.drifted = {"A": "MODIFIED"}
    foreseen = await preview(saga_of("A", size="2"))
    [seen] = foreseen.steps
    assert seen.foreseen.changes == {"update": 1}
    assert "A was modified by somebody" in seen.foreseen.warnings[0]


def test_boto3_is_missing(place: Place) -> None:
    """One sentence, with the way out."""
    (place.root / "saga.py").write_text(SAGA)
    (place.root / "sitecustomize.py").write_text(
        "import importlib.util as util\nreal = util.find_spec\n"
        "util.find_spec = lambda name, *a: None if name == 'boto3' else real(name, *a)\n"
    )
    root = Path(__file__).parents[2]
    code, said = place.alma("up", "saga.py", "--yes", PYTHONPATH=f"{place.root}:{root}")
    assert code == 2, said
    assert "pip install 'alma-pulumi[cloudformation]'" in said
    assert "Traceback" not in said
