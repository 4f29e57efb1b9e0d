"""Storage, messaging and secrets when AWS fails: what is left there is asked of AWS itself."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from alma import LocalStack, Retry, Saga, SagaFailed, SagaState
from alma.core.events import OperationFailed, OperationSucceeded, Recorded, SignalSent
from alma.core.result import Result
from alma.core.run import RunStatus
from alma.runner import rollback, up
from alma.runner.settings import Settings
from stacks.aws import messaging, secrets, storage
from tests.integration.aws.account import Account
from tests.services.exchange import Request
from tests.services.proxy import Proxy

Chaos = Callable[[str], Proxy]
PROGRAMS = {
    "storage": storage.program,
    "messaging": messaging.program,
    "secrets": secrets.program,
}


def saga(url: str, config: Mapping[str, Any]) -> Saga:
    """The three stacks side by side."""
    made = Saga("shop", aws=LocalStack(url))
    for name, program in PROGRAMS.items():
        made.add_stack(name, program, config=config, after=[])
    return made


async def failed(run: Awaitable[Result]) -> Result:
    """The result of a run that fails."""
    with pytest.raises(SagaFailed) as caught:
        await run
    return caught.value.result


def new_bucket(request: Request) -> bool:
    """The request that makes a bucket, and not one that sets something on it."""
    return request.method == "PUT" and "?" not in request.path and b".s3." not in request.head


POINTS: dict[str, dict[str, tuple[Any, str]]] = {
    "the first": {
        "storage": (new_bucket, 'Bucket "bucket": CreateBucket'),
        "messaging": ("AmazonSQS.CreateQueue", 'Queue "dead-letters": CreateQueue'),
        "secrets": ("secretsmanager.CreateSecret", 'Secret "secret": CreateSecret'),
    },
    "the next": {
        "storage": ("?versioning", 'BucketVersioning "versioning": PutBucketVersioning'),
        "messaging": ("Action=CreateTopic", 'Topic "topic": CreateTopic'),
        "secrets": ("secretsmanager.PutSecretValue", 'SecretVersion "value": PutSecretValue'),
    },
    "in the middle": {
        "storage": (
            "?publicAccessBlock",
            'BucketPublicAccessBlock "private": PutPublicAccessBlock',
        ),
        "messaging": ('"QueueName": "queue-', 'Queue "queue": CreateQueue'),
        "secrets": ("AmazonSSM.PutParameter", 'Parameter "secret-arn": PutParameter'),
    },
    "the last": {
        "storage": ("?policy", 'BucketPolicy "tls-only": PutBucketPolicy'),
        "messaging": ("Action=Subscribe", 'TopicSubscription "subscription": Subscribe'),
    },
}


@pytest.mark.parametrize("point", POINTS)
async def test_what_was_made_before_a_failure_is_gone_after_it(
    account: Account, chaos: Chaos, point: str
) -> None:
    proxy = chaos(account.url)
    for match, _told in POINTS[point].values():
        proxy.fail(500, times=99, match=match, code="InternalFailure")
    result = await failed(saga(proxy.url, {**account.config, "aws:maxRetries": 1}).execute())
    assert result.state is SagaState.COMPENSATED
    assert result.leftovers == ()
    assert account.things() == {}
    for step, (_match, told) in POINTS[point].items():
        failure = result.status.steps[step].failure
        assert failure is not None, step
        pattern = rf"^creating aws:\w+/\w+:{told}: InternalFailure: .*500\)$"
        assert re.search(pattern, failure.message), failure.message


async def test_throttling_errors_and_lost_answers_are_ridden_out(
    account: Account, chaos: Chaos
) -> None:
    """By the provider's own retries, forward and back; what was done twice is there once."""
    proxy = chaos(account.url)
    proxy.fail(429, times=2, match="AmazonSSM.PutParameter", code="ThrottlingException")
    proxy.fail(503, times=2, match="?policy", code="SlowDown")
    proxy.fail(500, times=1, match="Action=Subscribe", code="InternalFailure")
    proxy.drop(times=1, match=new_bucket, done=True)
    proxy.drop(times=2, match="AmazonSQS.CreateQueue", done=True)
    proxy.drop(times=1, match="AmazonSQS.DeleteQueue", done=True)
    proxy.fail(503, times=1, match="DELETE /bucket-", code="SlowDown")
    made = saga(proxy.url, account.config)
    there: dict[str, list[str]] = {}

    def fail() -> None:
        there.update(account.things())
        raise RuntimeError("the last step")

    made.add_step("last", action=fail, compensation="none", after=made.steps)
    result = await failed(made.execute())
    assert result.failed_step == "last", result.error
    assert {kind: len(ids) for kind, ids in there.items()} == {
        "buckets": 1,
        "topics": 1,
        "subscriptions": 1,
        "queues": 2,
        "secrets": 1,
        "parameters": 1,
    }
    assert all(step.operations == 1 for step in result.status.steps.values())
    assert result.state is SagaState.COMPENSATED
    assert account.things() == {}
    struck = [request.fault for request in proxy.requests if request.fault]
    assert len(struck) == 2 + 2 + 1 + 1 + 2 + 1 + 1


async def test_what_somebody_else_deleted_hinders_no_undo_and_what_somebody_put_there_is_named(
    account: Account,
) -> None:
    """A bucket with an object in it is not deleted: it is a leftover until somebody empties it."""
    made = saga(account.url, account.config)
    sqs, s3 = account.client("sqs"), account.client("s3")
    manager = account.client("secretsmanager")

    def vandal(context: Any) -> None:
        sqs.delete_queue(QueueUrl=context.inputs["queue"])
        account.client("sns").delete_topic(TopicArn=context.inputs["topic"])
        manager.delete_secret(SecretId=context.inputs["secret"], ForceDeleteWithoutRecovery=True)
        s3.delete_bucket_policy(Bucket=context.inputs["bucket"])
        s3.put_object(Bucket=context.inputs["bucket"], Key="order", Body=b"1")
        raise RuntimeError("after the vandal")

    kept, queues, hidden = made.steps
    made.add_step(
        action=vandal,
        compensation="none",
        inputs={
            "queue": queues.output("queue_url"),
            "topic": queues.output("topic_arn"),
            "secret": hidden.output("secret_arn"),
            "bucket": kept.output("bucket"),
        },
    )
    result = await failed(made.execute())
    assert result.state is SagaState.FAILED
    (leftover,) = result.leftovers
    assert leftover.step == "storage"
    assert leftover.urn.endswith("aws:s3/bucket:Bucket::bucket")
    assert "BucketNotEmpty" in leftover.reason
    (bucket,) = account.things()["buckets"]
    assert account.things() == {"buckets": [bucket]}
    assert leftover.id == bucket

    (version,) = s3.list_object_versions(Bucket=bucket)["Versions"]
    s3.delete_object(Bucket=bucket, Key="order", VersionId=version["VersionId"])
    mended = await failed(rollback(result.run_id))
    assert mended.state is SagaState.COMPENSATED
    assert account.things() == {}


class Outages:
    """A reporter that takes the service away after `storage`, and brings it back for `secrets`."""

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy

    def recorded(self, _run: RunStatus, entry: Recorded) -> None:
        """Called with each event once it is in the journal."""
        if isinstance(entry.event, OperationSucceeded) and entry.event.step == "storage":
            self.proxy.down()
        if isinstance(entry.event, OperationFailed) and entry.event.step == "secrets":
            self.proxy.up()

    def resource(self, step: str, urn: str, op: str, done: bool) -> None:
        """Called when an operation of a resource begins or ends."""


async def test_a_service_that_goes_away_and_comes_back(account: Account, chaos: Chaos) -> None:
    """Forward the step's retry meets it again; back, it is away for good: then all is named."""
    proxy = chaos(account.url)
    made = Saga("shop", aws=LocalStack(proxy.url))
    config = {**account.config, "aws:maxRetries": 1}
    made.add_stack("storage", storage.program, config=config)
    retry = Retry(attempts=3, delay=0.1)
    made.add_stack("secrets", secrets.program, config=config, retry=retry)

    def for_good() -> None:
        proxy.down()
        raise RuntimeError("the network is gone")

    made.add_step("gone", action=for_good, compensation="none")
    result = await failed(up(made, settings=Settings(reporter=Outages(proxy))))
    assert result.state is SagaState.FAILED
    assert result.failed_step == "gone"
    assert result.status.steps["secrets"].operations == 2
    assert {left.step for left in result.leftovers} == {"storage", "secrets"}
    named = {left.id for left in result.leftovers}
    there = account.things()
    assert set(there) == {"buckets", "secrets", "parameters"}
    assert named >= {identity for ids in there.values() for identity in ids}

    proxy.up()
    back = await failed(rollback(result.run_id))
    assert back.state is SagaState.COMPENSATED
    assert account.things() == {}


class Released:
    """A reporter that lets a held request go once the Pulumi CLI was told to stop."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()

    def hold(self, request: Request) -> bool:
        """A match that strikes nothing: it keeps the topic from being made for a while."""
        if "Action=CreateTopic" in request.text and not self.begun.is_set():
            self.begun.set()
            assert self.go.wait(60)
        return False

    def interrupt(self) -> None:
        """SIGINT to this process, as of Ctrl-C, in the middle of the create."""
        assert self.begun.wait(60)
        os.kill(os.getpid(), signal.SIGINT)

    def recorded(self, _run: RunStatus, entry: Recorded) -> None:
        """Called with each event once it is in the journal."""
        if isinstance(entry.event, SignalSent):
            self.go.set()

    def resource(self, step: str, urn: str, op: str, done: bool) -> None:
        """Called when an operation of a resource begins or ends."""


async def test_an_interrupt_lets_the_create_in_flight_finish_and_then_undoes_it(
    account: Account, chaos: Chaos
) -> None:
    proxy, held = chaos(account.url), Released()
    proxy.fail(500, match=held.hold)
    made = Saga("shop", aws=LocalStack(proxy.url))
    made.add_stack("messaging", messaging.program, config=account.config)
    interrupting = asyncio.create_task(asyncio.to_thread(held.interrupt))
    result = await failed(up(made, settings=Settings(reporter=held)))
    await interrupting
    assert result.state is SagaState.COMPENSATED
    asked = [request.text for request in proxy.requests]
    assert any("Action=DeleteTopic" in text for text in asked)
    assert not any("Action=Subscribe" in text for text in asked)
    assert account.things() == {}
