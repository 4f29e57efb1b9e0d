from __future__ import annotations

import pytest

from tests.examples.conftest import Place
from tests.services.localstack import LocalStack

pytestmark = pytest.mark.lives


def test_cloudformation_comes_up_is_put_back_and_goes(
    place: Place, localstack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As its text says."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", localstack.url)
    ended = place.python("cloudformation.py")
    assert ended.returncode == 0, ended.stderr
    assert "shop-orders for reader" in ended.stdout
    sqs = localstack.client("sqs")
    [queue] = sqs.list_queues(QueueNamePrefix="shop-orders")["QueueUrls"]

    monkeypatch.setenv("ALMA_FAIL", "1")
    monkeypatch.setenv("RETENTION", "60")
    ended = place.python("cloudformation.py")
    assert ended.returncode == 1
    status = place.alma("status")
    assert (status["state"], status["leftovers"]) == ("COMPENSATED", [])
    kept = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["MessageRetentionPeriod"])
    assert kept["Attributes"]["MessageRetentionPeriod"] == "345600"
    files = [path for path in place.directory.rglob("*") if path.is_file()]
    assert [path for path in files if b"an-orders-password" in path.read_bytes()] == []

    down = place.alma("destroy", "cloudformation.py")
    assert down["state"] == "COMPLETED", down["error"]
    assert "QueueUrls" not in sqs.list_queues(QueueNamePrefix="shop-orders")
