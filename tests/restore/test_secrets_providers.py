"""Secrets that no passphrase encrypts: by a vault (a stand-in), by KMS (LocalStack's)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi import Output, ResourceOptions

from alma import Saga, SagaState, destroy
from alma.core import events as ev
from alma.core.result import Result
from alma.errors import DefinitionError
from alma.runner import up
from tests.restore.conftest import Lab
from tests.restore.things import Thing
from tests.runner.helpers import ended, history
from tests.services.localstack import LocalStack

pytestmark = pytest.mark.lives

JOURNAL = Path(".alma", "journal.db")


def _saga(provider: str | None, token: str, *, fail: bool = False) -> Saga:
    def program() -> None:
        first = Thing("a", token=Output.secret(token))
        pulumi.export("token", Output.secret(token))
        if fail:
            Thing("b", ResourceOptions(depends_on=[first]), fail="not today")

    saga = Saga("demo", secrets_provider=provider)
    saga.add_stack("one", program=program)
    return saga


def _state() -> dict[str, Any]:
    path = Path(".alma/state/.pulumi/stacks/demo-one/dev.json")
    latest: dict[str, Any] = json.loads(path.read_text())["checkpoint"]["latest"]
    return latest


def _kept() -> list[str]:
    """All that the backend holds, of earlier states too."""
    return [path.read_text() for path in Path(".alma/state").rglob("*.json*") if path.is_file()]


async def _ended(saga: Saga) -> Result:
    return await ended(up(saga, journal=JOURNAL))


async def _life(provider: str) -> None:
    """Up, changed, failing, and destroyed; each time under the key that the first run has made."""
    first = await _ended(_saga(provider, "first"))
    assert first.state is SagaState.COMPLETED
    by = _state()["secrets_providers"]
    assert by["type"] == "cloud"
    assert by["state"]["url"] == provider
    failed = await _ended(_saga(provider, "second", fail=True))
    assert failed.state is SagaState.COMPENSATED
    again = await _ended(_saga(provider, "first"))
    assert again.outputs["one"] == first.outputs["one"]
    assert _state()["secrets_providers"] == by
    await destroy(_saga(provider, "first"), journal=JOURNAL)
    assert _state()["secrets_providers"] == by
    assert not _state().get("resources")
    assert not any("salt" in text or "first" in text for text in _kept())


async def test_a_vaults_key_is_kept(lab: Lab) -> None:
    """The tests' CLI finds a stand-in for Vault in its environment."""
    assert lab.place.root == Path.cwd()
    await _life("hashivault://of-the-saga")


async def test_the_key_of_kms_is_kept(
    lab: Lab, localstack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers to the endpoint that the URL names."""
    assert lab.place.root == Path.cwd()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    key = localstack.client("kms").create_key()["KeyMetadata"]["KeyId"]
    await _life(f"awskms:///{key}?region={localstack.region}&endpoint={localstack.url}")


async def test_a_stack_that_is_there_keeps_its_own_and_it_is_said(lab: Lab) -> None:
    """What is encrypted by another key is not encrypted anew by the way."""
    assert lab.place.root == Path.cwd()
    assert (await _ended(_saga("hashivault://before", "first"))).state is SagaState.COMPLETED
    assert (await _ended(_saga("hashivault://now", "first"))).state is SagaState.COMPLETED
    assert _state()["secrets_providers"]["state"]["url"] == "hashivault://before"
    (created,) = (one.event for one in history(JOURNAL) if isinstance(one.event, ev.RunCreated))
    assert isinstance(created.notes, tuple)
    assert "demo-one/dev stay encrypted by hashivault://before" in created.notes[0]


@pytest.mark.parametrize("said", ["", "awskms", "s3://bucket", "vault://key"])
def test_what_is_no_provider_is_refused(said: str) -> None:
    """Before anything, with those that there are."""
    with pytest.raises(DefinitionError, match="secrets_provider cannot be") as refused:
        Saga("demo", secrets_provider=said)
    assert "hashivault://" in refused.value.hint
