"""Steps by CloudFormation on LocalStack: what it does as AWS does, and what it leaves."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from alma import LocalStack, Retry, Saga, SagaFailed, destroy
from alma.core.result import Result
from tests.services import localstack as service
from tests.services.proxy import Proxy
from tests.steps.conftest import Place
from tests.waiting import until

CANARY = "canary-3Zk8pT-secret"


@pytest.fixture
def prefix(localstack: service.LocalStack) -> Iterator[str]:
    """Of the names of all that the test makes; what is left of it goes at the end."""
    prefix = f"t{secrets.token_hex(4)}"
    yield prefix
    cloudformation = localstack.client("cloudformation")
    for stack in cloudformation.describe_stacks()["Stacks"]:
        if stack["StackName"].startswith(prefix):
            with suppress(Exception):
                cloudformation.delete_stack(StackName=stack["StackId"])


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.chdir(tmp_path)
    place = Place(tmp_path)
    yield place
    for process in place.started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def template(prefix: str, *names: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": f"{prefix}-{name}"}}
        for name in names
    }
    found["Key"] = {
        "Type": "AWS::SSM::Parameter",
        "Properties": {"Type": "String", "Name": f"/{prefix}", "Value": {"Ref": "Password"}},
    }
    return {
        "Parameters": {"Password": {"Type": "String", "NoEcho": True}},
        "Resources": found,
        "Outputs": {"Key": {"Value": {"Ref": "Password"}}},
    }


def saga_of(url: str, prefix: str, *names: str, fails: bool = False, **options: Any) -> Saga:
    saga = Saga(prefix, aws=LocalStack(url))
    given = options.pop("template", None) or template(prefix, *names)
    options.setdefault("parameters", {"Password": CANARY})
    saga.add_cloudformation("data", given, **options)
    if fails:
        saga.add_step(broken, "none")
    return saga


def broken() -> None:
    raise RuntimeError("asked to")


async def failing(saga: Saga) -> Result:
    with pytest.raises(SagaFailed) as failed:
        await saga.execute()
    return failed.value.result


def queues(localstack: service.LocalStack, prefix: str) -> list[str]:
    found = localstack.client("sqs").list_queues(QueueNamePrefix=prefix).get("QueueUrls", [])
    return sorted(url.rpartition("-")[2] for url in found)


async def test_a_life(localstack: service.LocalStack, prefix: str, place: Place) -> None:
    """Made, changed and put back, and taken down: as the services themselves tell."""
    made = await saga_of(localstack.url, prefix, "a", "b").execute()
    assert made.status.steps["data"].changes == {"create": 3}
    assert queues(localstack, prefix) == ["a", "b"]
    saga = saga_of(localstack.url, prefix, "a", "c", fails=True)
    undone = await failing(saga)
    assert undone.state.name == "COMPENSATED"
    assert undone.status.steps["data"].how == "restored"
    assert queues(localstack, prefix) == ["a", "b"]
    ended = await destroy(saga)
    assert ended.status.steps["data"].how == "destroyed"
    assert queues(localstack, prefix) == []
    assert place.holding(CANARY) == []


async def test_what_a_failed_create_leaves_is_named(
    localstack: service.LocalStack,
    prefix: str,
    place: Place,  # noqa: ARG001 - the working directory
) -> None:
    """LocalStack says ROLLBACK_COMPLETE, then DELETE_COMPLETE, and leaves what it had made."""
    given = template(prefix, "a")
    given["Resources"]["Key"]["DependsOn"] = "a"
    given["Resources"]["Key"]["Properties"]["Type"] = "Nonsense"
    given["Resources"]["Key"]["Properties"]["Value"] = ""
    result = await failing(saga_of(localstack.url, prefix, template=given))
    left = queues(localstack, prefix)
    assert result.state.name == ("FAILED" if left else "COMPENSATED")
    assert [one.urn for one in result.leftovers] == left
    for name in left:
        sqs = localstack.client("sqs")
        sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=f"{prefix}-{name}")["QueueUrl"])


async def test_answers_that_are_lost_or_throttled(
    localstack: service.LocalStack, prefix: str, place: Place, chaos: Callable[..., Proxy]
) -> None:
    """The same change set is executed once. LocalStack does two deletes at once, for one token, and
    one of them fails (DELETE_FAILED): the second attempt takes the rest away.
    """
    proxy = chaos(localstack.url)
    proxy.drop(match="Action=ExecuteChangeSet", done=True)
    proxy.drop(match="Action=DeleteStack", done=True)
    proxy.fail(400, times=2, match="Action=DescribeStackEvents", code="Throttling")
    proxy.fail(503, times=2, match="Action=DescribeStacks")
    again = Retry(attempts=3, delay=0.1)
    result = await failing(saga_of(proxy.url, prefix, "a", fails=True, compensation_retry=again))
    assert result.state.name == "COMPENSATED", (result.error, result.leftovers)
    assert queues(localstack, prefix) == []
    assert {"answer lost", "400 Throttling", "503"} <= {one.fault for one in proxy.requests}
    assert place.holding(CANARY) == []


SAGA = """
from tests.integration.aws.test_cloudformation import saga_of

saga = saga_of({url!r}, {prefix!r}, "a")
"""


@pytest.mark.parametrize("forward", [True, False], ids=["resume", "rollback"])
def test_killed_while_the_service_was_away(
    localstack: service.LocalStack,
    prefix: str,
    place: Place,
    chaos: Callable[..., Proxy],
    *,
    forward: bool,
) -> None:
    """Nobody has seen what became of the create: it is found again by its change set."""
    proxy = chaos(localstack.url)
    (place.root / "saga.py").write_text(SAGA.format(url=proxy.url, prefix=prefix))
    runner = place.start("up", "saga.py", "--yes")
    until(lambda: any("Action=ExecuteChangeSet" in one.text for one in [*proxy.requests]))
    proxy.down()
    place.kill(runner)
    proxy.up()
    if forward:
        code, said = place.alma("resume", "latest")
        assert code == 0, said
        assert queues(localstack, prefix) == ["a"]
        code, said = place.alma("destroy", "saga.py", "--yes")
        assert code == 0, said
    else:
        (place.root / "saga.py").unlink()
        code, said = place.alma("rollback", "latest", "--yes")
        assert code == 4, said
    assert queues(localstack, prefix) == []
    executed = [one for one in proxy.requests if "Action=ExecuteChangeSet" in one.text]
    assert len(executed) <= 2
    assert place.holding(CANARY) == []
