"""A topic and a queue that listens to it, written as everybody writes them: up and down."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from alma import LocalStack, Saga, destroy
from alma.runner import up
from alma.runner.settings import Settings
from alma.saga.target import load_saga
from tests.integration.aws.account import Account

WRITTEN = Path(__file__).parents[2] / "pulumi" / "registry" / "on_aws.py"

pytestmark = pytest.mark.timeout(300)


async def test_what_is_imported_at_the_top_comes_up(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program's module is sent by value, the SDK's by name."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    loaded = load_saga(str(WRITTEN))
    saga = Saga("registry", aws=LocalStack(account.url, region=account.region))
    (program,) = (step.program for step in loaded.saga.steps if step.name == "news")
    saga.add_stack("news", program=program, config=account.config)
    settings = Settings(modules=loaded.modules)
    result = await up(saga, settings=settings)
    assert result.outputs["news"]["topic"].startswith("arn:aws:sns:")
    assert {"topics", "queues", "subscriptions"} <= account.things().keys()
    await destroy(saga, settings=settings)
    assert account.things() == {}
