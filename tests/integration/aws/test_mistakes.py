"""What a user gets wrong about AWS is one sentence that says what, where, and what there is."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from typing import Any

import pytest

from alma import Saga
from alma.preview import preview
from stacks.aws import messaging
from tests.integration.aws.account import Account
from tests.services.proxy import Proxy

pytestmark = pytest.mark.timeout(300)


def table() -> None:
    """A program with a type that the stand-in does not have."""
    from pulumi_aws import dynamodb

    dynamodb.Table("orders", attributes=[{"name": "id", "type": "S"}], hash_key="id")


def lens() -> None:
    """A program with an input that the stand-in does not know."""
    from pulumi_aws import s3

    s3.Bucket("photos", request_payer="Requester")


def ranges() -> None:
    """A program with a function that the stand-in does not have."""
    import pulumi_aws

    pulumi_aws.get_ip_ranges(services=["s3"])


async def test_settings_that_cannot_work_are_told_before_anything_is_made(
    account: Account, chaos: Callable[[str], Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    proxy = chaos(account.url)
    proxy.fail(403, times=99, match="Action=GetCallerIdentity", code="InvalidClientTokenId")
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{bound.getsockname()[1]}"
        good = {
            **account.config,
            "aws:region": account.region,
            "aws:secretKey": "test",
            "aws:endpoints": at(account.url),
            "aws:maxRetries": 1,
        }
        without = {key: good[key] for key in ("aws:region", "aws:endpoints", "aws:maxRetries")}
        wrong: dict[str, tuple[dict[str, Any], str]] = {
            "no-region": ({**good, "aws:region": ""}, "no region: set aws:region"),
            "region": (
                {**good, "aws:region": "us-nowhere-1"},
                'configuring aws: invalid AWS region "us-nowhere-1"',
            ),
            "no-credentials": (without, "configuring aws: .*[Cc]redentials"),
            "credentials": (
                {**good, "aws:endpoints": at(proxy.url)},
                r"configuring aws: GetCallerIdentity: InvalidClientTokenId: .*403",
            ),
            "unreachable": (
                {**good, "aws:endpoints": at(nobody)},
                f'configuring aws: Could not connect to the endpoint URL: "{nobody}/"',
            ),
            "account": (
                {**good, "aws:allowedAccountIds": ["123456789012"]},
                rf"account {account.number} is none of allowedAccountIds: \['123456789012'\]",
            ),
            "setting": ({**good, "aws:regoin": "us-east-1"}, "regoin.*does not know this setting"),
        }
        made = Saga("shop")
        for name, (config, _told) in wrong.items():
            made.add_stack(name, messaging.program, config=config, after=[])
        told = await failures(made)
    for name, (_config, pattern) in wrong.items():
        assert re.search(pattern, told[name]), told[name]
        assert "Traceback" not in told[name]
    assert account.things() == {}


async def test_what_the_stand_in_lacks_is_refused_by_name(
    account: Account, provider_plugins: dict[str, str]
) -> None:
    if provider_plugins["aws"] != "stand-in":
        return  # The official plugin has them all.
    config = {
        **account.config,
        "aws:region": account.region,
        "aws:secretKey": "test",
        "aws:endpoints": at(account.url),
    }
    made = Saga("shop")
    for program in (table, lens, ranges):
        made.add_stack(program.__name__, program, config=config, after=[])
    told = await failures(made)
    has_no = "the stand-in for aws has no"
    assert f"{has_no} aws:dynamodb/table:Table; it has: aws:ec2/" in told["table"]
    assert "aws:s3/bucket:Bucket of the stand-in for aws has no such input" in told["lens"]
    assert "requestPayer" in told["lens"]
    assert f"{has_no} aws:index/getIpRanges:getIpRanges; it has: aws:index/" in told["ranges"]


def at(url: str) -> list[dict[str, str]]:
    """Endpoints as pulumi-aws takes them."""
    return [dict.fromkeys(("sts", "s3", "sns", "sqs"), url)]


async def failures(saga: Saga) -> dict[str, str]:
    """By step, what its preview says of why it failed."""
    seen = await preview(saga)
    assert all(step.foreseen.failure is not None for step in seen.steps), seen
    return {
        step.name: step.foreseen.failure.message for step in seen.steps if step.foreseen.failure
    }
