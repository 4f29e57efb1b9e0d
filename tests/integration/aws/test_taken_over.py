"""A queue that another saga has made, which SQS gives to whoever creates it again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from alma import LocalStack, Saga, SagaFailed, destroy
from tests.integration.aws.account import Account


def queues(*names: str) -> Callable[[], None]:
    """A program that makes these, by their fixed names."""

    def program() -> None:
        from pulumi_aws import sqs

        for name in names:
            sqs.Queue(name, name=name)

    return program


async def test_a_queue_of_another_saga_stays(account: Account) -> None:
    """It is told by its URL and its ARN; the run's own queue is gone."""

    def saga_of(name: str, *names: str) -> Saga:
        saga = Saga(name, aws=LocalStack(account.url, region=account.region))
        saga.add_stack("queues", program=queues(*names), config=account.config)
        return saga

    owner = saga_of("owner", "orders")
    await owner.execute()
    taking = saga_of("taking", "orders", "own")

    def broken() -> None:
        raise RuntimeError("asked to")

    taking.add_step(action=broken, compensation="none")
    with pytest.raises(SagaFailed) as failed:
        await taking.execute()
    [left] = failed.value.result.leftovers
    assert left.id.endswith("/orders")
    assert "was there before this run (stack owner-queues/dev holds it)" in left.reason
    urls = account.client("sqs").list_queues()["QueueUrls"]
    assert [url.rpartition("/")[2] for url in urls] == ["orders"]
    await destroy(owner)
    assert not account.client("sqs").list_queues().get("QueueUrls")
