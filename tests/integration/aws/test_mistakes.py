"""What a user gets wrong about AWS is one sentence that says what, where, and what there is."""

from __future__ import annotations

import socket
from collections.abc import Callable

from alma import Saga
from alma.runner.preview import preview
from stacks.aws import messaging
from tests.integration.aws.account import Account
from tests.services.proxy import Proxy


def table() -> None:
    """A program with a type that the stand-in does not have."""
    from pulumi_aws import dynamodb

    dynamodb.Table("orders", attributes=[{"name": "id", "type": "S"}], hash_key="id")


async def test_what_cannot_work_is_one_sentence_before_anything_is_made(
    account: Account, chaos: Callable[[str], Proxy], provider_plugins: dict[str, str]
) -> None:
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
        made = Saga("shop")
        for name, wrong in {
            "region": {"aws:region": "us-nowhere-1"},
            "credentials": {"aws:endpoints": at(proxy.url)},
            "unreachable": {"aws:endpoints": at(nobody)},
        }.items():
            made.add_stack(name, messaging.program, config={**good, **wrong}, after=[])
        made.add_stack("lacking", table, config=good, after=[])
        seen = await preview(made)
    told = {
        step.name: step.foreseen.failure.message for step in seen.steps if step.foreseen.failure
    }
    if provider_plugins["aws"] != "stand-in":
        # The official plugin has words of its own, and every type.
        assert told.keys() >= {"region", "credentials", "unreachable"}
        return
    assert told == {
        "region": 'configuring aws: invalid AWS region "us-nowhere-1"',
        "credentials": "configuring aws: GetCallerIdentity: InvalidClientTokenId: "
        "Forbidden (HTTP 403)",
        "unreachable": f'configuring aws: Could not connect to the endpoint URL: "{nobody}/"',
        "lacking": told["lacking"],
    }
    has_no = "the stand-in for aws has no aws:dynamodb/table:Table; it has: aws:ec2/"
    assert told["lacking"].startswith(has_no)
    assert account.things() == {}


def at(url: str) -> list[dict[str, str]]:
    """Endpoints as pulumi-aws takes them."""
    return [dict.fromkeys(("sts", "s3", "sns", "sqs"), url)]
