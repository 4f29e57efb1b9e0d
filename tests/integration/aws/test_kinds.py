"""The stand-in's types of EC2, IAM and Route 53, one by one, against the services."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tests.integration.aws.account import SERVICES, Account
from tests.providers.aws.api import Api
from tests.providers.aws.ec2 import InternetGateway, Subnet, Vpc
from tests.providers.aws.ec2_groups import SecurityGroup
from tests.providers.aws.ec2_instances import Instance
from tests.providers.aws.ec2_routes import RouteTable, RouteTableAssociation
from tests.providers.aws.iam import InstanceProfile, Role, RolePolicy, RolePolicyAttachment
from tests.providers.aws.route53 import Record, Zone
from tests.providers.base import Kind, PartlyMadeError, Props
from tests.providers.differences import detailed, tops
from tests.providers.refresh import inputs_of
from tests.services.proxy import Proxy

ASSUME = json.dumps({"Version": "2012-10-17", "Statement": []})
POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}],
    }
)
TAGS = {"team": "shop"}


class There(NamedTuple):
    """A resource that was made."""

    kind: Kind
    id: str
    inputs: Props
    outputs: Props


def connect(account: Account, url: str) -> Api:
    """The stand-in's own connection."""
    return Api(
        {
            "region": account.region,
            "accessKey": account.number,
            "secretKey": "test",
            "skipCredentialsValidation": "true",
            "endpoints": [dict.fromkeys((*SERVICES, "sts"), url)],
        }
    )


def world(api: Api) -> list[There]:
    """One of each, in the order in which they need each other."""
    made: list[There] = []

    def make(kind: Kind, **inputs: Any) -> str:
        done = kind.create(api, {**kind.defaults, **inputs})
        made.append(There(kind, done.id, inputs, done.outputs))
        return done.id

    vpc = make(Vpc(), cidrBlock="10.1.0.0/16", enableDnsHostnames=True, tags=TAGS)
    subnet = make(
        Subnet(),
        vpcId=vpc,
        cidrBlock="10.1.0.0/24",
        availabilityZone="us-east-1b",
        mapPublicIpOnLaunch=True,
        tags=TAGS,
    )
    gateway = make(InternetGateway(), vpcId=vpc, tags=TAGS)
    routes = [{"cidrBlock": "0.0.0.0/0", "gatewayId": gateway}]
    table = make(RouteTable(), vpcId=vpc, routes=routes, tags=TAGS)
    make(RouteTableAssociation(), subnetId=subnet, routeTableId=table)
    rules = [
        {"protocol": "tcp", "fromPort": 80, "toPort": 81, "cidrBlocks": ["10.0.0.0/8", ANY]},
        {"protocol": "all", "fromPort": 0, "toPort": 0, "self": True, "description": "us"},
    ]
    group = make(SecurityGroup(), name="group", vpcId=vpc, ingress=rules, egress=[], tags=TAGS)
    role = make(Role(), name="role", assumeRolePolicy=ASSUME, description="a role", tags=TAGS)
    make(RolePolicy(), name="inline", role=role, policy=POLICY)
    make(RolePolicyAttachment(), role=role, policyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
    profile = make(InstanceProfile(), name="profile", role=role, tags=TAGS)
    make(
        Instance(),
        ami="ami-03cf127a",
        instanceType="t3.micro",
        subnetId=subnet,
        vpcSecurityGroupIds=[group],
        iamInstanceProfile=profile,
        metadataOptions={"httpTokens": "required"},
        tags=TAGS,
    )
    zone = make(Zone(), name="kinds.example.", comment="c", vpcs=[{"vpcId": vpc}], tags=TAGS)
    make(Record(), zoneId=zone, name="www", type="TXT", ttl=60, records=["b", "a"])
    return made


ANY = "0.0.0.0/0"


def test_each_kind_is_imported_as_it_was_made_and_can_be_deleted_twice(account: Account) -> None:
    api = connect(account, account.url)
    made = world(api)
    for kind, id_, inputs, outputs in made:
        found = kind.read(api, id_, {})
        assert found is not None, kind.token
        assert outputs.keys() <= found.keys(), kind.token
        assert kind.outputs <= found.keys(), kind.token
        differing = tops(detailed(kind, inputs_of(kind, {}, found), inputs))
        # A record's short name and the whole one are the same to nobody but the service.
        expected = {"name"} if kind.token == Record.token else set()
        assert inputs.keys() & set(differing) == expected, kind.token
    for kind, id_, inputs, outputs in reversed(made):
        state = {**inputs, **outputs}
        kind.delete(api, id_, state)
        kind.delete(api, id_, state)
        assert kind.read(api, id_, state) is None, kind.token
    assert account.things() == {}


def test_what_is_deleted_by_the_way_is_gone_for_the_provider_too(account: Account) -> None:
    """From the other end: with the VPC's things still there, and the zone's record."""
    api = connect(account, account.url)
    made = {there.kind.token: there for there in world(api)}
    ec2 = account.client("ec2")
    ec2.terminate_instances(InstanceIds=[made[Instance.token].id])
    ec2.disassociate_route_table(AssociationId=made[RouteTableAssociation.token].id)
    zone = made[Zone.token]
    zone.kind.delete(api, zone.id, {**zone.inputs, **zone.outputs, "forceDestroy": True})
    role = made[Role.token]
    role.kind.delete(api, role.id, {**role.inputs, "forceDetachPolicies": True})
    gone = (Instance, RouteTableAssociation, Zone, Record, Role, RolePolicy, RolePolicyAttachment)
    for kind in gone:
        there = made[kind.token]
        state = {**there.inputs, **there.outputs}
        assert there.kind.read(api, there.id, state) is None, kind.token
        there.kind.delete(api, there.id, state)


def test_what_aws_is_not_ready_for_is_waited_for(
    account: Account, chaos: Callable[[str], Proxy]
) -> None:
    """A profile that EC2 does not know yet; a thing that another one still uses."""
    proxy = chaos(account.url)
    for code, calls in {
        "NoSuchEntity": ("RunInstances", "AddRoleToInstanceProfile"),
        "DependencyViolation": ("DeleteSubnet", "DeleteSecurityGroup", "DeleteVpc"),
        "DeleteConflict": ("DeleteRole&", "DeleteInstanceProfile"),
    }.items():
        for call in calls:
            proxy.fail(400, times=2, match=f"Action={call}", code=code)
    api = connect(account, proxy.url)
    for kind, id_, inputs, outputs in reversed(world(api)):
        kind.delete(api, id_, {**inputs, **outputs})
    assert sum(request.fault is not None for request in proxy.requests) == 14
    assert account.things() == {}


def test_a_half_made_one_is_told_and_mended(
    account: Account, chaos: Callable[[str], Proxy]
) -> None:
    proxy = chaos(account.url)
    proxy.fail(400, match="Action=ModifyVpcAttribute", code="UnauthorizedOperation")
    api, kind = connect(account, proxy.url), Vpc()
    inputs = {**kind.defaults, "cidrBlock": "10.1.0.0/16", "enableDnsHostnames": True}
    with pytest.raises(PartlyMadeError, match="UnauthorizedOperation") as caught:
        kind.create(api, inputs)
    id_ = caught.value.id
    assert account.things()["vpcs"] == [id_]
    assert kind.update(api, id_, inputs, inputs)["enableDnsHostnames"] is True
    assert (kind.read(api, id_, inputs) or {})["enableDnsHostnames"] is True
    kind.delete(api, id_, inputs)
    assert account.things() == {}
