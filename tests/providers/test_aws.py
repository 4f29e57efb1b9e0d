"""The stand-in for aws by itself: what it refuses, and in which words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import grpc
import pytest
from pulumi.provider.experimental.provider import PropertyDiffKind as Diff
from pulumi.runtime.proto import provider_pb2 as pb

from tests.providers.aws.api import Api
from tests.providers.aws.sqs import Queue
from tests.providers.aws.ssm import Parameter
from tests.providers.differences import detailed
from tests.providers.kind import Kind
from tests.providers.speaking import properties, started
from tests.services.localstack import LocalStack

URN = "urn:pulumi:dev::shop::{}::it"


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client for the plugin, which has no credentials of the user's."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    with ExitStack() as stack:
        yield started(["-P", "-m", "tests.providers.aws"], stack)[1]


def configured(plugin: Any, **settings: str) -> str:
    """What it says to these settings; empty when it takes them."""
    try:
        plugin.Configure(pb.ConfigureRequest(args=properties(settings)))
    except grpc.RpcError as error:
        return str(error.details())
    return ""


def test_settings_that_cannot_work_are_refused(plugin: Any, localstack: LocalStack) -> None:
    keys = {"accessKey": "123456789012", "secretKey": "test"}
    there = {"region": "us-east-1", "endpoints": json.dumps([{"sts": localstack.url}])}
    assert configured(plugin, **there) == "configuring aws: Unable to locate credentials"
    there |= keys
    assert configured(plugin, **{**there, "region": ""}).startswith(
        "configuring aws: no region: set aws:region, or AWS_REGION"
    )
    assert configured(plugin, **{**there, "endpoints": "[{"}) == (
        "configuring aws: the setting endpoints is not JSON: '[{'"
    )
    assert configured(plugin, **there, allowedAccountIds='["210987654321"]') == (
        "configuring aws: account 123456789012 is none of allowedAccountIds: ['210987654321']"
    )
    assert configured(plugin, **there, allowedAccountIds='["123456789012"]') == ""
    wrong = plugin.CheckConfig(pb.CheckRequest(news=properties({"regoin": "us-east-1"})))
    (failure,) = wrong.failures
    assert failure.property == "regoin"
    assert "does not know this setting; it knows: accessKey, " in failure.reason


def test_what_it_lacks_is_refused_by_name(plugin: Any) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        plugin.Check(pb.CheckRequest(urn=URN.format("aws:dynamodb/table:Table")))
    has_no = "the stand-in for aws has no"
    assert f"{has_no} aws:dynamodb/table:Table; it has: aws:ec2/" in refused.value.details()
    with pytest.raises(grpc.RpcError) as refused:
        plugin.Invoke(pb.InvokeRequest(tok="aws:index/getIpRanges:getIpRanges"))
    ranges = f"{has_no} aws:index/getIpRanges:getIpRanges; it has: aws:index/"
    assert ranges in refused.value.details()
    news = properties({"bucket": "UPPER", "requestPayer": "Requester"})
    bucket = URN.format("aws:s3/bucket:Bucket")
    told = plugin.Check(pb.CheckRequest(urn=bucket, news=news)).failures
    assert {failure.property: failure.reason for failure in told} == {
        "requestPayer": "aws:s3/bucket:Bucket of the stand-in for aws has no such input",
        "bucket": "must be of 3 to 63 characters and lowercase",
    }


@pytest.mark.parametrize(
    ("kind", "key", "old", "new", "how"),
    [
        (Queue(), "contentBasedDeduplication", False, True, Diff.UPDATE),
        (Queue(), "fifoQueue", False, True, Diff.UPDATE_REPLACE),
        (Parameter(), "dataType", "text", "aws:ec2:image", Diff.UPDATE_REPLACE),
        (Parameter(), "type", "String", "SecureString", Diff.UPDATE),
    ],
)
def test_what_replaces(kind: Kind, key: str, old: object, new: object, how: Diff) -> None:
    """As in the official provider's schema."""
    [found] = detailed(kind, {key: old}, {key: new}).values()
    assert found.kind is how


def test_a_fifo_queue_is_changed_in_place(localstack: LocalStack) -> None:
    keys = {"accessKey": "123456789012", "secretKey": "test", "region": "us-east-1"}
    api = Api({**keys, "endpoints": json.dumps([dict.fromkeys(("sqs", "sts"), localstack.url)])})
    inputs = {**Queue.defaults, "name": "in-place.fifo", "fifoQueue": True}
    made = Queue().create(api, inputs)
    state = {**inputs, **made.outputs}
    try:
        Queue().update(api, made.id, state, {**inputs, "contentBasedDeduplication": True})
        found = Queue().read(api, made.id, state)
        assert found is not None
        assert found["contentBasedDeduplication"] is True
    finally:
        Queue().delete(api, made.id, state)
    plain = {**inputs, "fifoQueue": False, "contentBasedDeduplication": True}
    assert [key for key, _why in Queue().check(plain)] == ["contentBasedDeduplication"]
