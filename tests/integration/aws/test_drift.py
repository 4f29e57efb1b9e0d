"""The provider by itself: an explicit one, an import, a `get`, refreshes, and default tags."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi import automation

from tests.integration.aws.account import Account

pytestmark = [
    # The SDK's own: it loads all types of a service, those with newer names too.
    pytest.mark.filterwarnings("ignore:.*has been deprecated in favor of:DeprecationWarning"),
]


def program(account: Account, team: str, **bucket: Any) -> Any:
    """A bucket that was there before, and a queue, by a provider of the program's own."""

    def inner() -> None:
        import pulumi_aws as aws

        provider = aws.Provider(
            "here",
            region="eu-west-1",
            access_key=account.number,
            secret_key="test",
            endpoints=[dict.fromkeys(("sts", "s3", "sqs"), account.url)],
            default_tags={"tags": {"team": team}},
            s3_use_path_style=True,
        )
        own = pulumi.ResourceOptions(provider=provider)
        imported = pulumi.ResourceOptions(provider=provider, import_="found", protect=False)
        aws.s3.Bucket("found", bucket="found", **bucket, opts=imported)
        queue = aws.sqs.Queue("queue", tags={"own": "1"}, opts=own)
        seen = aws.s3.Bucket.get("seen", "other", opts=own)
        pulumi.export("seen", seen.arn)
        pulumi.export("url", queue.url)
        pulumi.export("name", queue.name)
        asked = pulumi.InvokeOptions(provider=provider)
        pulumi.export("account", aws.get_caller_identity(opts=asked).account_id)

    return inner


def test_what_is_there_is_taken_over_and_drift_is_seen_and_mended(
    account: Account, tmp_path: Path
) -> None:
    account = Account(account.url, account.number, region="eu-west-1")
    s3, sqs = account.client("s3"), account.client("sqs")
    place = {"LocationConstraint": "eu-west-1"}
    for name in ("found", "other"):
        s3.create_bucket(Bucket=name, CreateBucketConfiguration=place)
    s3.put_bucket_tagging(Bucket="found", Tagging={"TagSet": [{"Key": "by", "Value": "hand"}]})
    options = automation.LocalWorkspaceOptions(
        work_dir=str(tmp_path),
        env_vars={
            "PULUMI_BACKEND_URL": tmp_path.as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "a passphrase",
            "ALMA_TEST_PASSPHRASE": "never",
        },
    )
    stack = automation.create_stack("dev", project_name="drift", program=lambda: None, opts=options)

    def up(team: str, **bucket: Any) -> tuple[dict[str, int], dict[str, Any]]:
        stack.workspace.program = program(account, team, **bucket)
        done = stack.up(refresh=True)
        return dict(done.summary.resource_changes or {}), {
            key: output.value for key, output in done.outputs.items()
        }

    changes, out = up("a", tags={"by": "hand"})
    # The engine takes it over as it is, and updates what the program has otherwise.
    assert (changes["import"], changes["update"]) == (1, 1)
    assert out["seen"] == "arn:aws:s3:::other"
    assert out["account"] == account.number
    tags = sqs.list_queue_tags(QueueUrl=out["url"])["Tags"]
    assert tags == {"own": "1", "team": "a"}

    # Somebody changes a tag of one, and deletes the other.
    s3.put_bucket_tagging(Bucket="found", Tagging={"TagSet": [{"Key": "by", "Value": "chance"}]})
    sqs.delete_queue(QueueUrl=out["url"])
    changes, again = up("b", tags={"by": "hand"})
    assert changes["create"] == 1
    assert changes["update"] == 2  # The provider too has new settings.
    assert again["name"] != out["name"]
    found = {tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(Bucket="found")["TagSet"]}
    assert found == {"by": "hand", "team": "b"}
    stack.destroy()
    assert account.things() == {"buckets": ["other"]}
