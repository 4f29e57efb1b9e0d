"""A stack whose state is in a bucket or in a database: put back, and destroyed."""

from __future__ import annotations

from uuid import uuid4

import pulumi
import pytest
from pulumi import Output

from tests.restore.conftest import Lab, differing
from tests.restore.things import Thing
from tests.services.localstack import LocalStack
from tests.services.states import BucketStates

pytestmark = pytest.mark.lives


@pytest.fixture
def in_a_bucket(localstack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """State on LocalStack."""
    states = BucketStates(localstack, f"state-{uuid4().hex[:12]}", localstack.url)
    states.client().create_bucket(Bucket=states.bucket)
    for name, value in states.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PULUMI_BACKEND_URL", states.url("one"))


@pytest.fixture
def in_a_database(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """State in Postgres."""
    monkeypatch.setenv("PULUMI_BACKEND_URL", database)


async def _put_back(lab: Lab) -> None:
    """With its secrets, which the CLI opens from there."""

    def program(size: int) -> None:
        first = Thing("a", size=size, token=Output.secret(f"canary-{size}"))
        if size > 1:
            Thing("b", of=first.made)
        pulumi.export("token", Output.secret(f"canary-{size}"))

    assert (await lab.up(lambda: program(1))).failure is None
    await lab.keep()
    before = await lab.state()
    assert (await lab.up(lambda: program(2))).failure is None
    assert len(lab.things()) == 2
    restored = await lab.restore()
    assert restored.failure is None
    assert differing(await lab.state(), before) == {}
    assert len(lab.things()) == 1
    assert (await lab.place.destroy()).failure is None
    assert (await lab.place.engine.inspect(lab.ref)).is_empty
    assert lab.things() == {}


async def test_a_stack_in_a_database_is_put_back(in_a_database: None, lab: Lab) -> None:  # noqa: ARG001 - before the lab
    await _put_back(lab)


async def test_a_stack_in_a_bucket_is_put_back(in_a_bucket: None, lab: Lab) -> None:  # noqa: ARG001 - before the lab
    await _put_back(lab)
