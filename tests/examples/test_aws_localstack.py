from __future__ import annotations

import socket

import pytest

from tests.examples.conftest import Place
from tests.services.localstack import LocalStack

pytestmark = pytest.mark.lives


@pytest.mark.usefixtures("provider_plugins")
def test_aws_localstack_fails_clean_goes_up_and_down(
    place: Place, localstack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As its text says: first with a step that fails, then whole, then taken down."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", localstack.url)
    monkeypatch.setenv("ALMA_FAIL_AT", "network")
    ended = place.python("aws_localstack.py")
    assert ended.returncode == 4, ended.stderr
    assert "zone" in ended.stderr
    status = place.alma("status")
    assert (status["state"], status["leftovers"]) == ("COMPENSATED", [])
    assert place.held() == {}

    monkeypatch.delenv("ALMA_FAIL_AT")
    ended = place.python("aws_localstack.py")
    assert ended.returncode == 0, ended.stderr
    assert "COMPLETED: www.shop.example" in ended.stdout
    outputs = place.alma("status")["outputs"]
    assert outputs["secrets"]["value"] == "[secret]"
    ec2 = localstack.client("ec2")
    vpc = [{"Name": "vpc-id", "Values": [outputs["network"]["vpc_id"]]}]

    def states() -> list[str]:
        found = ec2.describe_instances(InstanceIds=outputs["servers"]["instance_ids"])
        instances = [one for each in found["Reservations"] for one in each["Instances"]]
        return [one["State"]["Name"] for one in instances]

    assert states() == ["running", "running"]
    assert len(ec2.describe_subnets(Filters=vpc)["Subnets"]) == 4

    down = place.alma("destroy", "aws_localstack.py")
    assert down["state"] == "COMPLETED", down["error"]
    assert set(states()) == {"terminated"}
    assert ec2.describe_vpcs(Filters=vpc)["Vpcs"] == []
    assert set(place.held().values()) == {0}


def test_aws_localstack_says_what_is_wrong(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence for a LocalStack that is not there, and for a step that is none."""
    with socket.socket() as bound:  # and listens to nobody
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        ended = place.python("aws_localstack.py")
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"LocalStack at {url}")
    assert len(ended.stderr.splitlines()) == 1
    monkeypatch.setenv("ALMA_FAIL_AT", "nothing")
    ended = place.python("aws_localstack.py")
    assert ended.returncode == 1
    assert "'nothing' cannot be made to fail; steps are network, storage" in ended.stderr
    assert not place.held()
