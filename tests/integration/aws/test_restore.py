"""Stacks that were there before an update that fails: at AWS all is as it was."""

from __future__ import annotations

import json
from typing import Any

import pytest

from alma import LocalStack, Saga, SagaFailed, SagaState
from alma.runner import up
from alma.runner.preview import preview
from stacks.aws import dns, messaging, network, secrets, storage
from tests.integration.aws.account import Account

Config = dict[str, dict[str, Any]]

OLD: Config = {
    "network": {
        "availability_zones": ["us-east-1a"],
        "ingress": [{"port": 443}, {"port": 22, "cidrs": ["10.0.0.0/8"], "description": "inside"}],
    },
    "storage": {"tags": {"Owner": "first", "Cost": "1"}},
    "messaging": {"visibility_timeout": 45, "tags": {"Owner": "first"}},
    "dns": {
        "zone": "old.example",
        "addresses": ["192.0.2.1"],
        "records": [
            {"name": "@", "type": "TXT", "values": ["v=spf1 -all"], "ttl": 60},
            # Last by name: LocalStack 4.9 takes a record that was deleted again only there.
            {"name": "zz", "type": "TXT", "values": ["goes and comes again"]},
        ],
    },
}
NEW: Config = {
    "network": {
        "availability_zones": ["us-east-1a", "us-east-1b"],  # two subnets more
        "ingress": [{"port": 443, "cidrs": ["10.0.0.0/8"]}, {"port": 8080}],
        "egress": [{"port": 443}],
        "tags": {"Owner": "second"},
    },
    "storage": {"tags": {"Owner": "second"}, "versioning": False},
    "messaging": {"visibility_timeout": 90, "retention": 3600, "max_receive_count": 2},
    "dns": {
        "zone": "old.example",
        "addresses": ["192.0.2.2", "192.0.2.3"],
        "records": [
            {"name": "@", "type": "TXT", "values": ["v=spf1 ~all", "more"]},
            {"name": "mail", "type": "MX", "values": ["10 mx.old.example"]},
        ],
        "ttl": 30,
    },
}
PROGRAMS = {
    "network": network.program,
    "storage": storage.program,
    "messaging": messaging.program,
    "dns": dns.program,
}


def stacks(account: Account, config: Config) -> Saga:
    """Four stacks that need nothing of each other."""
    made = Saga("kept", aws=LocalStack(account.url, region=account.region))
    for name, program in PROGRAMS.items():
        own = {**account.config, **config[name]}
        made.add_stack(name, program=program, config=own, after=[])
    return made


async def test_an_update_that_fails_puts_existing_stacks_back(account: Account) -> None:
    """The stack that is new in the same run is destroyed; the old programs have nothing to do."""
    assert (await up(stacks(account, OLD))).state is SagaState.COMPLETED
    before, there = as_it_is(account), account.things()
    changed: dict[str, Any] = {}

    def check() -> None:
        changed.update(as_it_is(account))
        raise RuntimeError("the new version does not work")

    growing = stacks(account, NEW)
    growing.add_stack("secrets", secrets.program, config=account.config, after=[])
    growing.add_step("check", action=check, compensation="none", after=[*growing.steps])
    with pytest.raises(SagaFailed, match="does not work") as caught:
        await up(growing)
    for what, was in before.items():
        assert changed[what] != was, f"{what} did not change, so that nothing shows its restore"
    result = caught.value.result
    assert result.state is SagaState.COMPENSATED, result.leftovers
    assert {name: step.how for name, step in result.status.steps.items()} == {
        **dict.fromkeys(PROGRAMS, "restored"),
        "secrets": "destroyed",
        "check": "nothing",
    }
    assert as_it_is(account) == before
    assert account.things() == there
    seen = await preview(stacks(account, OLD))
    assert {step.name for step in seen.steps if not step.changes_nothing} == set()


def as_it_is(account: Account) -> dict[str, Any]:
    """What the services themselves tell of the four stacks, without what a read changes."""
    s3, sqs = account.client("s3"), account.client("sqs")
    (bucket,) = (one["Name"] for one in account.listed("s3", "list_buckets"))
    (zone,) = (one["Id"] for one in account.listed("route53", "list_hosted_zones"))
    (group,) = (
        one for one in account.of_ec2("describe_security_groups") if one["GroupName"] != "default"
    )
    return {
        "rules": [_ordered(group[way]) for way in ("IpPermissions", "IpPermissionsEgress")],
        "group's tags": _ordered(group["Tags"]),
        "subnets": sorted(one["CidrBlock"] for one in account.of_ec2("describe_subnets")),
        "bucket tags": _ordered(s3.get_bucket_tagging(Bucket=bucket)["TagSet"]),
        "bucket versioning": s3.get_bucket_versioning(Bucket=bucket)["Status"],
        "queues": {
            url: {
                name: value
                for name, value in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])[
                    "Attributes"
                ].items()
                if name != "LastModifiedTimestamp" and not name.startswith("Approximate")
            }
            for url in account.listed("sqs", "list_queues")
        },
        "queue tags": {
            url: sqs.list_queue_tags(QueueUrl=url).get("Tags", {})
            for url in account.listed("sqs", "list_queues")
        },
        "records": _ordered(
            account.listed("route53", "list_resource_record_sets", HostedZoneId=zone)
        ),
    }


def _ordered(things: Any) -> list[Any]:
    return sorted(things, key=lambda one: json.dumps(one, sort_keys=True))
