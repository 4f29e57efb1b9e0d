"""A stack with a Route 53 zone and its records.

Config: `zone` (a domain name) is required; `records` (a JSON list of `{"name", "type", "values",
"ttl"}`), `host` (`www`) and `addresses` (a JSON list of IPv4 addresses that `host` gets as an A
record), `ttl` (300 seconds, where a record has none of its own), `vpc_id` (makes the zone a
private one of that VPC), `force_destroy` (false: a zone with records that this stack did not
make is not deleted), `tags` (a JSON object).
Outputs: `zone_id`, `zone`, `name_servers`, `names` (of the records, in full).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi_aws import route53

from stacks.aws.common import tags

TYPES = ("A", "AAAA", "CAA", "CNAME", "MX", "NS", "SRV", "TXT")


def program() -> None:
    """The stack. Raises ValueError for records that are none, or two of one name and type."""
    config = pulumi.Config()
    domain = config.require("zone").rstrip(".")
    vpc_id = config.get("vpc_id")
    given = config.get_object("records", [])
    addresses = config.get_object("addresses", [])
    if addresses:
        given = [*given, {"name": config.get("host", "www"), "type": "A", "values": addresses}]
    records = checked(given)
    zone = route53.Zone(
        "zone",
        name=domain,
        comment=f"{pulumi.get_project()}-{pulumi.get_stack()}",
        force_destroy=config.get_bool("force_destroy", False),  # noqa: FBT003 - its signature
        vpcs=[route53.ZoneVpcArgs(vpc_id=vpc_id)] if vpc_id else None,
        tags=tags("zone"),
    )
    names = []
    for key, record in records.items():
        made = route53.Record(
            key,
            zone_id=zone.zone_id,
            name=full(record["name"], domain),
            type=record["type"],
            ttl=int(record.get("ttl", config.get_int("ttl", 300))),
            records=[str(value) for value in record["values"]],
        )
        names.append(made.fqdn)
    pulumi.export("zone_id", zone.zone_id)
    pulumi.export("zone", zone.name)
    pulumi.export("name_servers", zone.name_servers)
    pulumi.export("names", names)


def full(name: str, domain: str) -> str:
    """The name within the domain; `@` and the empty name are the domain itself."""
    return domain if name in ("", "@") else f"{name}.{domain}"


def checked(given: Any) -> dict[str, Mapping[str, Any]]:
    """The records by name and type. Raises ValueError for one that is none."""
    if not (isinstance(given, list) and all(isinstance(record, Mapping) for record in given)):
        raise ValueError(f"records must be a JSON list of objects, not {given!r}.")
    records: dict[str, Mapping[str, Any]] = {}
    for record in given:
        if not {"name", "type", "values"} <= set(record):
            raise ValueError(f"records: each has name, type and values, not {record!r}.")
        if record["type"] not in TYPES:
            raise ValueError(
                f"records: {record['name']!r} has the type {record['type']!r}; "
                f"known are {', '.join(TYPES)}."
            )
        if not isinstance(record["values"], list) or not record["values"]:
            raise ValueError(f"records: values of {record['name']!r} must be a list, not empty.")
        key = f"{record['name'] or '@'}-{record['type']}"
        if key in records:
            raise ValueError(
                f"records: {record['name']!r} is there twice with type {record['type']}; "
                "give one record with all its values."
            )
        records[key] = record
    return records
