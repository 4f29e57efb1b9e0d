"""LocalStack as the target, over Pulumi's own engine and a real LocalStack, asked by boto3."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest

import alma
from alma import LocalStack, Saga, Secret
from tests.services.localstack import LocalStack as Service

ROOT = Path(__file__).parents[3]

# The first test that asks for LocalStack has its start in its own time.
pytestmark = [
    pytest.mark.usefixtures("pulumi_cli", "provider_plugins", "nothing_of_aws"),
]

QUEUE = """name: shop-queue
runtime: yaml
config:
  aws:defaultTags:
    value: {{tags: {{team: shop}}}}
resources:
  queue:
    type: aws:sqs:Queue
    properties:
      name: {name}
outputs:
  arn: ${{queue.arn}}
"""


@pytest.fixture
def nothing_of_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of whoever runs the tests: what alma gives must be enough."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)


def project(directory: Path, name: str) -> Path:
    """A project in YAML with one queue."""
    directory.mkdir()
    (directory / "Pulumi.yaml").write_text(QUEUE.format(name=name))
    return directory


def buckets(localstack: Service, prefix: str) -> dict[str, str]:
    """The buckets of this test with their regions; us-east-1 is None in S3's answers."""
    s3 = localstack.client("s3")
    return {
        bucket["Name"]: s3.get_bucket_location(Bucket=bucket["Name"])["LocationConstraint"]
        or "us-east-1"
        for bucket in s3.list_buckets()["Buckets"]
        if bucket["Name"].startswith(prefix)
    }


def queues(localstack: Service, prefix: str, region: str = "us-east-1") -> list[str]:
    """The URLs of the queues of this test."""
    sqs = Service(localstack.url, region).client("sqs")
    return sqs.list_queues(QueueNamePrefix=prefix).get("QueueUrls", [])


def written_with(value: bytes, directory: Path) -> list[Path]:
    """The files of alma that hold the value; Pulumi's state, which the program made, left out."""
    files = [path for path in directory.rglob("*") if path.is_file()]
    written = [path for path in files if "state" not in path.relative_to(directory).parts]
    assert any(path.name == "journal.db" for path in written)
    return [path for path in written if value in path.read_bytes()]


async def test_each_kind_of_setting_that_the_user_makes_wins(
    localstack: Service, tmp_path: Path
) -> None:
    """Nothing but the URL is needed, and config, settings and a provider in the program count."""
    url = localstack.url

    def storage() -> None:
        import pulumi_aws as aws

        plain = aws.s3.Bucket("plain", bucket="target-plain")
        own = aws.Provider(
            "own",
            region="eu-north-1",
            access_key="test",
            secret_key="test",
            s3_use_path_style=True,
            skip_credentials_validation=True,
            endpoints=[{"s3": url, "sts": url}],
        )
        aws.s3.Bucket("own", bucket="target-own", opts=pulumi.ResourceOptions(provider=own))
        pulumi.export("bucket", plain.bucket)

    work_dir = project(tmp_path / "queue", "target-queue")
    (work_dir / "Pulumi.dev.yaml").write_text("config:\n  aws:region: eu-central-1\n")
    before = {path.name: path.read_text() for path in work_dir.iterdir()}
    saga = Saga("shop", aws=LocalStack(url))
    secret = {"tags": {"token": Secret("hunter22")}}
    config = {"aws:region": "eu-west-1", "aws:defaultTags": secret}
    saga.add_stack("storage", storage, config=config)
    saga.add_stack("queue", work_dir=work_dir)

    result = await saga.execute()

    assert buckets(localstack, "target-") == {
        "target-plain": "eu-west-1",
        "target-own": "eu-north-1",
    }
    tags = localstack.client("s3").get_bucket_tagging(Bucket="target-plain")["TagSet"]
    assert tags == [{"Key": "token", "Value": "hunter22"}]
    assert not written_with(b"hunter22", tmp_path / ".alma")
    (queue,) = queues(localstack, "target-", "eu-central-1")
    arn = result.outputs["queue"]["arn"]
    assert arn == "arn:aws:sqs:eu-central-1:000000000000:target-queue"
    sqs = Service(url, "eu-central-1").client("sqs")
    assert sqs.list_queue_tags(QueueUrl=queue)["Tags"] == {"team": "shop"}
    assert {path.name: path.read_text() for path in work_dir.iterdir()} == before

    await alma.destroy(saga)
    assert buckets(localstack, "target-") == {}
    assert queues(localstack, "target-", "eu-central-1") == []


# The saga's file says nothing of LocalStack. It waits after the bucket until there is a file `go`,
# and ends with a failure.
KILLED = """
import time
from pathlib import Path

from alma import Saga

def storage():
    import pulumi_aws as aws
    aws.s3.Bucket("bucket", bucket="killed-bucket")

def gate():
    Path("at-work").touch()
    while not Path("go").exists():
        time.sleep(0.01)

def fail():
    raise RuntimeError("as it should")

saga = Saga("killed", on_failure="stop")
saga.add_stack("storage", storage)
saga.add_step(action=gate, compensation="none")
saga.add_stack("queue", work_dir="queue")
saga.add_step(action=fail, compensation="none")
"""


def alma_pulumi(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "alma", *words], capture_output=True, text=True, check=False
    )


def until(condition: Callable[[], bool], process: subprocess.Popen[Any]) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert process.poll() is None, "it ended before"
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def test_a_run_that_was_killed_goes_on_and_back_without_the_option(
    localstack: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "saga.py").write_text(KILLED)
    project(tmp_path / "queue", "killed-queue")

    up = subprocess.Popen(
        [sys.executable, "-m", "alma", "up", "--localstack", localstack.url, "saga.py"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until((tmp_path / "at-work").exists, up)
    up.send_signal(signal.SIGKILL)
    up.wait()
    assert buckets(localstack, "killed-") == {"killed-bucket": "us-east-1"}
    assert queues(localstack, "killed-") == []

    (tmp_path / "go").touch()
    resumed = alma_pulumi("resume", "latest")
    assert resumed.returncode == 10, resumed.stderr
    assert "as it should" in resumed.stderr
    assert len(queues(localstack, "killed-")) == 1

    history = json.loads(alma_pulumi("history", "latest", "--json").stdout)
    assert history[0]["definition"]["aws"] == {"url": localstack.url, "region": "us-east-1"}

    back = alma_pulumi("rollback", "latest", "--json")
    assert back.returncode == 4, back.stderr
    assert json.loads(back.stdout)["leftovers"] == []
    assert buckets(localstack, "killed-") == {}
    assert queues(localstack, "killed-") == []
