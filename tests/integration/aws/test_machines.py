"""Network, servers and DNS: up, nothing to do, updates in place and by replacement, down."""

from __future__ import annotations

from typing import Any

from alma import LocalStack, Saga, SagaState
from alma.core.result import Result
from alma.runner import destroy
from stacks.aws import dns, network, servers
from tests.integration.aws.account import Account

SSM = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"


def saga(account: Account, **config: dict[str, Any]) -> Saga:
    """The three stacks, each fed by the one before."""
    made = Saga("machines", aws=LocalStack(account.url, region=account.region))
    net = made.add_stack("network", network.program, config={**account.config, **config["network"]})
    web = made.add_stack(
        "servers",
        servers.program,
        config={**account.config, "ami": "ami-03cf127a", **config["servers"]},
        inputs={
            "subnet_ids": net.output("private_subnet_ids"),
            "security_group_ids": net.output("security_group_ids"),
        },
    )
    made.add_stack(
        "dns",
        dns.program,
        config={**account.config, "zone": "inside.example", **config["dns"]},
        inputs={"vpc_id": net.output("vpc_id"), "addresses": web.output("private_ips")},
    )
    return made


def changes(result: Result) -> dict[str, dict[str, int]]:
    """By step, how many resources were created, updated and so on."""
    return {name: dict(step.changes) for name, step in result.status.steps.items()}


async def test_the_life_of_three_stacks(account: Account) -> None:
    first: dict[str, dict[str, Any]] = {
        "network": {"availability_zones": ["us-east-1a", "us-east-1b"], "cidr": "10.9.0.0/16"},
        "servers": {"count": 2, "managed_policies": [SSM]},
        "dns": {"records": [{"name": "@", "type": "TXT", "values": ["hello"]}]},
    }
    result = await saga(account, **first).execute()
    assert result.state is SagaState.COMPLETED
    out = result.outputs
    check_servers(account, out["servers"], out["network"], kind="t3.micro", policies=[SSM])
    check_zone(account, out["dns"], out["network"], texts=['"hello"'], of=out["servers"])

    again = await saga(account, **first).execute()
    assert {kind for step in changes(again).values() for kind in step} == {"same"}
    assert again.outputs == out

    # In place: rules, tags, a zone more, the type of the instances (which are stopped for it), a
    # policy less, a text.
    second: dict[str, dict[str, Any]] = {
        "network": {
            **first["network"],
            "availability_zones": ["us-east-1a", "us-east-1b", "us-east-1c"],
            "ingress": [{"port": 22, "cidrs": ["10.0.0.0/8"]}],
            "tags": {"team": "shop"},
        },
        "servers": {"count": 2, "instance_type": "t3.small", "tags": {"team": "shop"}},
        "dns": {"records": [{"name": "@", "type": "TXT", "values": ["hello", "there"]}]},
    }
    changed = await saga(account, **second).execute()
    now, texts = changed.outputs, ['"hello"', '"there"']
    assert not {"replace"} & set().union(*changes(changed).values())
    assert now["servers"]["instance_ids"] == out["servers"]["instance_ids"]
    assert now["network"]["private_subnet_ids"][:2] == out["network"]["private_subnet_ids"]
    check_servers(account, now["servers"], now["network"], kind="t3.small", policies=[])
    check_zone(account, now["dns"], now["network"], texts=texts, of=now["servers"])

    # By replacement, the new one before the old one goes: the script of the first boot.
    third = {**second, "servers": {"count": 1, "user_data": "#!/bin/sh\ntouch /booted\n"}}
    changed = await saga(account, **third).execute()
    now = changed.outputs
    assert changes(changed)["servers"] == {"same": 1, "update": 2, "replace": 1, "delete": 1}
    assert not set(now["servers"]["instance_ids"]) & set(out["servers"]["instance_ids"])
    check_servers(account, now["servers"], now["network"], kind="t3.micro", policies=[])
    check_zone(account, now["dns"], now["network"], texts=texts, of=now["servers"])
    things = account.things()
    assert {kind: len(things[kind]) for kind in ("subnets", "instances", "roles")} == {
        "subnets": 6,
        "instances": 1,
        "roles": 1,
    }

    gone = await destroy(saga(account, **third))
    assert gone.state is SagaState.COMPLETED
    assert account.things() == {}


def check_servers(account: Account, out: Any, net: Any, *, kind: str, policies: list[str]) -> None:
    """The instances as EC2 tells them, and what IAM says of their role."""
    found = {one["InstanceId"]: one for one in account.instances()}
    assert set(found) == set(out["instance_ids"])
    for number, id_ in enumerate(out["instance_ids"]):
        one = found[id_]
        assert (one["State"]["Name"], one["InstanceType"]) == ("running", kind)
        assert one["SubnetId"] == net["private_subnet_ids"][number]
        assert one["PrivateIpAddress"] == out["private_ips"][number]
        assert [group["GroupId"] for group in one["SecurityGroups"]] == net["security_group_ids"]
        assert one["MetadataOptions"]["HttpTokens"] == "required"
        assert one["IamInstanceProfile"]["Arn"].endswith(f"/{out['instance_profile']}")
        tags = {tag["Key"]: tag["Value"] for tag in one["Tags"]}
        assert tags["Project"] == "machines-servers"
    iam, role = account.client("iam"), out["role_name"]
    attached = iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    assert [one["PolicyArn"] for one in attached] == policies
    profile = iam.get_instance_profile(InstanceProfileName=out["instance_profile"])
    assert [one["RoleName"] for one in profile["InstanceProfile"]["Roles"]] == [role]


def check_zone(account: Account, out: Any, net: Any, *, texts: list[str], of: Any) -> None:
    """A private zone of the VPC, with an address for each server."""
    zone = account.client("route53").get_hosted_zone(Id=out["zone_id"])
    assert zone["HostedZone"]["Config"]["PrivateZone"]
    assert [one["VPCId"] for one in zone["VPCs"]] == [net["vpc_id"]]
    listed = account.listed("route53", "list_resource_record_sets", HostedZoneId=out["zone_id"])
    records = {
        (one["Name"], one["Type"]): sorted(each["Value"] for each in one["ResourceRecords"])
        for one in listed
    }
    assert records["www.inside.example.", "A"] == sorted(of["private_ips"])
    assert records["inside.example.", "TXT"] == sorted(texts)
    assert out["names"] == ["inside.example", "www.inside.example"]
