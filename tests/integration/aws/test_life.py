"""Storage, messaging and secrets: up, nothing to do, updates in place and by replacement, down."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from alma import LocalStack, Saga, SagaState, Secret
from alma.core.result import Result
from alma.runner import destroy
from stacks.aws import messaging, secrets, storage
from tests.integration.aws.account import Account

VALUE = "correct-horse-battery-staple"
TOKEN = "tok-4711-of-the-secure-parameter"


def saga(account: Account, **config: dict[str, Any]) -> Saga:
    """Three stacks side by side; the fourth is given a secret of the third."""
    made = Saga("shop", aws=LocalStack(account.url, region=account.region))
    for name, program in (
        ("storage", storage.program),
        ("messaging", messaging.program),
        ("secrets", secrets.program),
    ):
        own = {**account.config, **config.get(name, {})}
        made.add_stack(name, program, config=own, after=[])
    made.add_stack(
        "copy",
        secrets.program,
        inputs={"value": made.steps[2].output("value")},
        config={**account.config, "prefix": "/copy"},
    )
    return made


def changes(result: Result) -> dict[str, dict[str, int]]:
    """By step, how many resources were created, updated and so on."""
    return {name: dict(step.changes) for name, step in result.status.steps.items()}


async def test_the_life_of_three_stacks_and_a_secret_that_nobody_wrote_down(
    account: Account, tmp_path: Path
) -> None:
    first = {
        "storage": {"tags": {"team": "shop"}, "expire_old_versions": 30},
        "messaging": {"max_receive_count": 3, "filter_policy": {"kind": ["order"]}},
        "secrets": {
            "parameters": {"colour": "blue"},
            "secure_parameters": Secret({"token": TOKEN}),
        },
    }
    result = await saga(account, **first).execute()
    out = result.outputs
    assert result.state is SagaState.COMPLETED
    check_storage(account, out["storage"], versioning="Enabled", days=30)
    check_messaging(account, out["messaging"], receives="3")
    generated = out["secrets"]["value"].value
    assert len(generated) == 32
    check_secrets(account, out["secrets"], out["copy"], generated)
    nowhere(tmp_path, generated, TOKEN)

    again = await saga(account, **first).execute()
    assert {kind for step in changes(again).values() for kind in step} == {"same"}
    assert again.outputs["storage"] == out["storage"]
    assert again.outputs["secrets"]["value"].value == generated

    # In place: storage and messaging. By replacement: the queue and all that hangs on its name,
    # and the version of the secret, in both stacks.
    second = {
        "storage": {"versioning": False, "tags": {"team": "other"}},
        "messaging": {"max_receive_count": 7, "name": "orders", "retention": 3600},
        "secrets": {**first["secrets"], "value": Secret(VALUE), "parameters": {}},
    }
    changed = await saga(account, **second).execute()
    now = changed.outputs
    assert changes(changed) == {
        "storage": {"same": 3, "update": 2, "delete": 1},
        "messaging": {"same": 1, "replace": 6},
        "secrets": {"same": 4, "replace": 1, "delete": 1},
        "copy": {"same": 3, "replace": 1},
    }
    check_storage(account, now["storage"], versioning="Suspended", days=0)
    assert now["storage"] == out["storage"]
    assert now["messaging"]["queue_url"].endswith("/orders")
    check_messaging(account, now["messaging"], receives="7")
    assert len(account.things()["queues"]) == 2
    check_secrets(account, now["secrets"], now["copy"], VALUE)

    gone = await destroy(saga(account, **second))
    assert gone.state is SagaState.COMPLETED
    assert account.things() == {}
    nowhere(tmp_path, generated, VALUE, TOKEN)


def check_storage(account: Account, out: Any, *, versioning: str, days: int) -> None:
    """The bucket as S3 tells it."""
    s3, name = account.client("s3"), out["bucket"]
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == versioning
    (statement,) = json.loads(s3.get_bucket_policy(Bucket=name)["Policy"])["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert statement["Resource"] == [out["bucket_arn"], out["bucket_arn"] + "/*"]
    block = s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
    assert set(block.values()) == {True}
    tags = {tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(Bucket=name)["TagSet"]}
    assert tags["Project"] == "shop-storage"
    assert tags["Stack"] == "dev"
    assert tags["team"] == ("shop" if days else "other")
    if days:
        (rule,) = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
        assert rule["NoncurrentVersionExpiration"]["NoncurrentDays"] == days
    else:
        with pytest.raises(s3.exceptions.ClientError, match="NoSuchLifecycleConfiguration"):
            s3.get_bucket_lifecycle_configuration(Bucket=name)


def check_messaging(account: Account, out: Any, *, receives: str) -> None:
    """A message that is published arrives; one that nobody takes becomes a dead letter."""
    sqs, url = account.client("sqs"), out["queue_url"]
    told = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    redrive = json.loads(told["RedrivePolicy"])
    assert redrive["deadLetterTargetArn"] == out["dead_letter_queue_arn"]
    assert str(redrive["maxReceiveCount"]) == receives
    (statement,) = json.loads(told["Policy"])["Statement"]
    assert statement["Principal"] == {"Service": "sns.amazonaws.com"}
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": out["topic_arn"]}}
    account.client("sns").publish(
        TopicArn=out["topic_arn"],
        Message="an order",
        MessageAttributes={"kind": {"DataType": "String", "StringValue": "order"}},
    )
    (message,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"]
    assert message["Body"] == "an order"


def check_secrets(account: Account, out: Any, copy: Any, value: str) -> None:
    """Both secrets have the value, and the parameters are of the types they should be."""
    manager, ssm = account.client("secretsmanager"), account.client("ssm")
    for each in (out, copy):
        assert manager.get_secret_value(SecretId=each["secret_arn"])["SecretString"] == value
    names = out["parameter_names"]
    found = ssm.get_parameters(Names=list(names.values()), WithDecryption=True)["Parameters"]
    told = {each["Name"]: (each["Type"], each["Value"]) for each in found}
    assert told[names["secret-arn"]] == ("String", out["secret_arn"])
    assert told[names["token"]] == ("SecureString", TOKEN)
    assert set(out["parameter_arns"]) == {each["ARN"] for each in found}


def nowhere(directory: Path, *values: str) -> None:
    """No file of alma's or of Pulumi's has the values in it, as they are or in base64."""
    files = [path for path in directory.rglob("*") if path.is_file()]
    assert any(path.name == "journal.db" for path in files)
    for path in files:
        content = path.read_bytes()
        for value in values:
            assert value.encode() not in content, path
            # Without the end, which depends on what follows.
            assert base64.b64encode(value.encode())[:-4] not in content, path
