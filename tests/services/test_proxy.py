from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import docker
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError

from tests.services.docker import DockerDaemon
from tests.services.localstack import LocalStack
from tests.services.proxy import Proxy

Chaos = Callable[[str], Proxy]
ONCE = Config(retries={"max_attempts": 0})


def test_failures_strike_what_matches_as_often_as_asked(
    localstack: LocalStack, chaos: Chaos
) -> None:
    proxy = chaos(localstack.url)
    through = LocalStack(proxy.url)
    sqs = through.client("sqs", config=ONCE)
    proxy.fail(429, times=2, match="AmazonSQS.CreateQueue", code="ThrottlingException")
    for _ in range(2):
        with pytest.raises(ClientError) as refused:
            sqs.create_queue(QueueName="proxied")
        assert refused.value.response["Error"]["Code"] == "ThrottlingException"
        # What does not match is passed on.
        assert "QueueUrls" not in sqs.list_queues(QueueNamePrefix="proxied")
    url = sqs.create_queue(QueueName="proxied")["QueueUrl"]
    assert [r.fault for r in proxy.requests if "CreateQueue" in r.text] == [
        "429 ThrottlingException",
        "429 ThrottlingException",
        None,
    ]
    sqs.delete_queue(QueueUrl=url)

    ec2 = through.client("ec2", config=ONCE)
    proxy.fail(503, match="Action=CreateVpc")
    with pytest.raises(ClientError) as refused:
        ec2.create_vpc(CidrBlock="10.0.0.0/16")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert refused.value.response["Error"]["Code"] == "ServiceUnavailable"


def test_a_lost_answer_is_of_something_done(localstack: LocalStack, chaos: Chaos) -> None:
    proxy = chaos(localstack.url)
    s3 = LocalStack(proxy.url).client("s3", config=ONCE)
    there = localstack.client("s3")
    proxy.drop(match=lambda request: request.method == "PUT")
    with pytest.raises(ConnectionClosedError):
        s3.create_bucket(Bucket="proxied")
    assert "proxied" not in [b["Name"] for b in there.list_buckets()["Buckets"]]
    proxy.drop(match="PUT /proxied", done=True)
    with pytest.raises(ConnectionClosedError):
        s3.create_bucket(Bucket="proxied")
    assert "proxied" in [b["Name"] for b in there.list_buckets()["Buckets"]]
    # A body that the client sends only after it was told to go on.
    s3.put_object(Bucket="proxied", Key="large", Body=b"x" * 3_000_000)
    assert len(s3.get_object(Bucket="proxied", Key="large")["Body"].read()) == 3_000_000
    s3.delete_object(Bucket="proxied", Key="large")
    s3.delete_bucket(Bucket="proxied")


def test_a_service_goes_away_and_comes_back_at_the_same_address(
    localstack: LocalStack, chaos: Chaos
) -> None:
    proxy = chaos(localstack.url)
    s3 = LocalStack(proxy.url).client("s3", config=ONCE)
    s3.list_buckets()
    proxy.down()
    with pytest.raises(EndpointConnectionError):
        s3.list_buckets()
    proxy.up()
    s3.list_buckets()
    assert len(proxy.requests) == 2


def test_the_docker_socket_is_reached_over_tcp(docker_daemon: DockerDaemon, chaos: Chaos) -> None:
    proxy = chaos(docker_daemon.host)
    with closing(docker.DockerClient(base_url=proxy.url)) as client:
        proxy.fail(500, match="/containers/create")
        with pytest.raises(docker.errors.APIError) as refused:
            client.containers.run(docker_daemon.image, ["true"])
        assert refused.value.status_code == 500
        assert client.containers.run(docker_daemon.image, ["echo", "hello"], remove=True) == (
            b"hello\n"
        )
        container = client.containers.run(docker_daemon.image, ["sleep", "60"], detach=True)
        assert container.exec_run(["echo", "inside"]).output == b"inside\n"
        container.remove(force=True)
