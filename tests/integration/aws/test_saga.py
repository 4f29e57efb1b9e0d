"""The six stacks of the example, against the services: what a failure at each step leaves."""

from __future__ import annotations

import json
from typing import Any

import pytest

from alma import Context, LocalStack, Saga, SagaFailed, SagaState
from alma.core.result import Result
from tests.integration.aws.account import Account
from tests.integration.aws.example import FAULTS, aws_saga

WHOLE = {
    *("vpcs", "subnets", "internet gateways", "route tables", "security groups", "instances"),
    *("network interfaces", "roles", "instance profiles", "buckets", "topics", "subscriptions"),
    *("queues", "secrets", "parameters", "zones", "volumes"),
}
"""All that the saga makes, by the names of `Account.things`."""
USED = {
    "network": ("vpc_id", "security_group_id"),
    "storage": ("bucket", "bucket_arn"),
    "messaging": ("queue_arn", "subscription_arn"),
    "secrets": ("secret_arn", "secret_name"),
    "servers": ("instance_ids", "public_ips", "role_name"),
    "dns": ("zone_id", "names"),
}
"""By step, the outputs that the audit looks at."""
ORDER = ({"network"}, {"storage", "messaging", "secrets"}, {"servers"}, {"dns"})


def saga(account: Account, fail_at: str = "") -> Saga:
    """The example's saga, in this account."""
    aws = LocalStack(account.url, region=account.region)
    # Public subnets are as good as both kinds here, and a third of the network less.
    config = {**account.config, "private_subnets": False}
    return aws_saga("six", aws=aws, fail_at=fail_at, config=config)


def failed(made: Saga) -> Result:
    """Run it to its failure."""
    with pytest.raises(SagaFailed) as caught:
        made.run()
    return caught.value.result


@pytest.mark.parametrize("step", FAULTS)
def test_a_failure_at_any_step_leaves_nothing_at_aws(account: Account, step: str) -> None:
    """Also of what the failed step itself had made by then."""
    result = failed(saga(account, fail_at=step))
    assert (result.failed_step, result.state) == (step, SagaState.COMPENSATED), result.leftovers
    steps = result.status.steps
    before = next(place for place, names in enumerate(ORDER) if step in names)
    for name in {step}.union(*ORDER[:before]):
        assert steps[name].how == "destroyed", steps[name]
        assert steps[name].resources, steps[name]
    assert account.things() == {}


def test_what_goes_behind_its_back_does_not_hold_up_the_undo(account: Account) -> None:
    """The whole saga is up and used; then somebody deletes a thing of each stack, and it fails."""
    seen: dict[str, Any] = {}

    def audit(context: Context) -> None:
        seen.update(account.things(), flow=_flow(account, context.inputs))
        _delete_some(account, context.inputs)
        raise RuntimeError("the audit has found something")

    made = saga(account)
    steps = {step.name: step for step in made.steps}
    inputs = {key: steps[step].output(key) for step, keys in USED.items() for key in keys}
    made.add_step("audit", action=audit, compensation="none", inputs=inputs)
    result = failed(made)
    assert "the audit has found" in str(result.error)
    flow = seen.pop("flow")
    assert set(seen) == WHOLE
    assert flow == {"network": True, "policy": True, "record": True, "running": 2}
    assert result.state is SagaState.COMPENSATED, result.leftovers
    assert account.things() == {}


def _flow(account: Account, inputs: dict[str, Any]) -> dict[str, Any]:
    """Whether the outputs of the stacks have arrived, as the services tell."""
    instances = list(account.instances())
    iam, zone = account.client("iam"), inputs["zone_id"]
    (name,) = iam.list_role_policies(RoleName=inputs["role_name"])["PolicyNames"]
    policy = iam.get_role_policy(RoleName=inputs["role_name"], PolicyName=name)["PolicyDocument"]
    said = json.dumps(policy)
    records = account.listed("route53", "list_resource_record_sets", HostedZoneId=zone)
    (www,) = (one for one in records if one["Type"] == "A")
    return {
        "network": all(
            instance["VpcId"] == inputs["vpc_id"]
            and [one["GroupId"] for one in instance["SecurityGroups"]]
            == [inputs["security_group_id"]]
            for instance in instances
        ),
        "policy": all(inputs[key] in said for key in ("bucket_arn", "queue_arn", "secret_arn")),
        "record": {one["Value"] for one in www["ResourceRecords"]} == set(inputs["public_ips"])
        and www["Name"] == f"{inputs['names'][0]}.",
        "running": sum(instance["State"]["Name"] == "running" for instance in instances),
    }


def _delete_some(account: Account, inputs: dict[str, Any]) -> None:
    ec2, iam = account.client("ec2"), account.client("iam")
    ec2.terminate_instances(InstanceIds=inputs["instance_ids"][:1])
    ec2.delete_security_group(GroupId=inputs["security_group_id"])
    account.client("s3").delete_bucket(Bucket=inputs["bucket"])
    account.client("sns").unsubscribe(SubscriptionArn=inputs["subscription_arn"])
    account.client("secretsmanager").delete_secret(
        SecretId=inputs["secret_name"], ForceDeleteWithoutRecovery=True
    )
    (name,) = iam.list_role_policies(RoleName=inputs["role_name"])["PolicyNames"]
    iam.delete_role_policy(RoleName=inputs["role_name"], PolicyName=name)
    zone = inputs["zone_id"]
    records = account.listed("route53", "list_resource_record_sets", HostedZoneId=zone)
    for one in [one for one in records if one["Type"] == "A"]:
        change = {"Action": "DELETE", "ResourceRecordSet": one}
        account.client("route53").change_resource_record_sets(
            HostedZoneId=zone, ChangeBatch={"Changes": [change]}
        )
