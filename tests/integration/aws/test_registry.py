"""A topic and a queue that listens to it, written as everybody writes them: up and down."""

from __future__ import annotations

from alma import LocalStack, Saga, destroy
from alma.runner import up
from alma.runner.settings import Settings
from tests.integration.aws.account import Account
from tests.pulumi.registry.written import written


async def test_what_is_imported_at_the_top_comes_up(account: Account) -> None:
    """The program's module is sent by value, the SDK's by name."""
    program, modules = written("aws", "news")
    saga = Saga("registry", aws=LocalStack(account.url, region=account.region))
    saga.add_stack("news", program=program, config=account.config)
    settings = Settings(modules=modules)
    result = await up(saga, settings=settings)
    assert result.outputs["news"]["topic"].startswith("arn:aws:sns:")
    assert {"topics", "queues", "subscriptions"} <= account.things().keys()
    await destroy(saga, settings=settings)
    assert account.things() == {}
