"""A stack with a network: a VPC, subnets over availability zones, and a security group.

Config: `availability_zones` (a JSON list) is required; `cidr` (`10.0.0.0/16`), `subnet_prefix`
(20, the prefix length of each subnet), `private_subnets` (true), `ingress` and `egress` (JSON
lists of rules, see `rules`), `tags` (a JSON object).
Outputs: `vpc_id`, `cidr`, `public_subnet_ids`, `private_subnet_ids`, `security_group_id`,
`security_group_ids` (a list of that one).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi_aws import ec2

from stacks.aws.common import tags

INGRESS = ({"port": 80}, {"port": 443})
EGRESS = ({"protocol": "-1"},)
ANYWHERE = "0.0.0.0/0"
SMALLEST = 28
"""The longest prefix of a subnet that AWS makes."""


def program() -> None:
    """The stack. Raises ValueError for config that makes no network."""
    config = pulumi.Config()
    zones = config.require_object("availability_zones")
    if not isinstance(zones, list) or not zones or len(set(zones)) != len(zones):
        raise ValueError(f"availability_zones must be a list of different zones, not {zones!r}.")
    private = config.get_bool("private_subnets", True)  # noqa: FBT003 - its signature
    cidr = config.get("cidr", "10.0.0.0/16")
    blocks = subnets(cidr, config.get_int("subnet_prefix", 20), len(zones))
    incoming = rules("ingress", config.get_object("ingress", INGRESS))
    outgoing = rules("egress", config.get_object("egress", EGRESS))

    vpc = ec2.Vpc("vpc", cidr_block=cidr, enable_dns_hostnames=True, tags=tags("vpc"))
    gateway = ec2.InternetGateway("gateway", vpc_id=vpc.id, tags=tags("gateway"))
    to_internet = ec2.RouteTableRouteArgs(cidr_block=ANYWHERE, gateway_id=gateway.id)
    public_ids = _subnets(vpc, "public", dict(zip(zones, blocks[0::2], strict=True)), [to_internet])
    private_ids = (
        _subnets(vpc, "private", dict(zip(zones, blocks[1::2], strict=True)), []) if private else []
    )
    group = ec2.SecurityGroup(
        "servers",
        vpc_id=vpc.id,
        description=f"Servers of {pulumi.get_project()}-{pulumi.get_stack()}",
        ingress=[ec2.SecurityGroupIngressArgs(**rule) for rule in incoming],
        egress=[ec2.SecurityGroupEgressArgs(**rule) for rule in outgoing],
        tags=tags("servers"),
    )
    pulumi.export("vpc_id", vpc.id)
    pulumi.export("cidr", vpc.cidr_block)
    pulumi.export("public_subnet_ids", public_ids)
    pulumi.export("private_subnet_ids", private_ids)
    pulumi.export("security_group_id", group.id)
    pulumi.export("security_group_ids", [group.id])


def _subnets(
    vpc: ec2.Vpc, kind: str, blocks: Mapping[str, str], routes: list[Any]
) -> list[pulumi.Output[str]]:
    """A route table, and a subnet of it in each zone."""
    table = ec2.RouteTable(kind, vpc_id=vpc.id, routes=routes, tags=tags(kind))
    ids = []
    for zone, block in blocks.items():
        name = f"{kind}-{zone}"
        subnet = ec2.Subnet(
            name,
            vpc_id=vpc.id,
            availability_zone=zone,
            cidr_block=block,
            map_public_ip_on_launch=kind == "public",
            tags=tags(name),
        )
        ec2.RouteTableAssociation(name, subnet_id=subnet.id, route_table_id=table.id)
        ids.append(subnet.id)
    return ids


def subnets(cidr: str, prefix: int, zones: int) -> list[str]:
    """Two blocks a zone, the public one first, so that one more zone moves none of the others.

    Raises ValueError for a block that cannot be cut so.
    """
    try:
        network = ipaddress.IPv4Network(cidr)
    except ValueError as error:
        raise ValueError(f"cidr {cidr!r} is none: {error}.") from None
    if not network.prefixlen <= prefix <= SMALLEST:
        raise ValueError(
            f"subnet_prefix must be from {network.prefixlen}, as cidr has it, to {SMALLEST}, "
            f"not {prefix}."
        )
    room = 2 ** (prefix - network.prefixlen)
    if room < 2 * zones:
        raise ValueError(
            f"cidr {cidr!r} holds {room} subnets of prefix length {prefix}; "
            f"{zones} availability zones need {2 * zones}."
        )
    blocks = network.subnets(new_prefix=prefix)
    return [str(next(blocks)) for _ in range(2 * zones)]


def rules(key: str, given: Any) -> list[dict[str, Any]]:
    """Rules as a security group takes them, from `{"port", "to_port", "protocol", "cidrs"}`.

    `protocol` is `tcp` unless given, and `-1` is all traffic, which has no port; `cidrs` are
    anywhere unless given; `to_port` ends a range; `description` is free.
    Raises ValueError for a rule that is none.
    """
    if not (isinstance(given, list | tuple) and all(isinstance(rule, Mapping) for rule in given)):
        raise ValueError(f"{key} must be a JSON list of objects, not {given!r}.")
    made = []
    for rule in given:
        known = {"port", "to_port", "protocol", "cidrs", "description"}
        if set(rule) - known:
            raise ValueError(f"{key}: a rule has {', '.join(sorted(known))}, not {rule!r}.")
        protocol = str(rule.get("protocol", "tcp"))
        if (protocol == "-1") == ("port" in rule):
            raise ValueError(f"{key}: a rule has a port, or the protocol -1, not {rule!r}.")
        port = int(rule.get("port", 0))
        made.append(
            {
                "protocol": protocol,
                "from_port": port,
                "to_port": int(rule.get("to_port", port)),
                "cidr_blocks": list(rule.get("cidrs", [ANYWHERE])),
                "description": rule.get("description", ""),
            }
        )
    return made
