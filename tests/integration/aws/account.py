"""An AWS account at LocalStack, and what is in it as the services themselves tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import boto3


@dataclass(frozen=True)
class Account:
    """LocalStack takes an access key of twelve digits for the number of an account."""

    url: str
    number: str
    region: str = "us-east-1"
    _clients: dict[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> dict[str, str]:
        """Of the AWS provider, for each stack that is to be in this account."""
        return {"aws:accessKey": self.number}

    def client(self, service: str) -> Any:
        """A client of boto3's."""
        if service not in self._clients:
            make: Any = boto3.client
            self._clients[service] = make(
                service,
                endpoint_url=self.url,
                region_name=self.region,
                aws_access_key_id=self.number,
                aws_secret_access_key="test",
            )
        return self._clients[service]

    def things(self) -> dict[str, list[str]]:
        """Ids by kind, of all that is there and was not there in a new account; {} when nothing."""
        for service in SERVICES:  # to make clients is the one thing that threads cannot share
            self.client(service)
        with ThreadPoolExecutor(4) as pool:
            found = pool.map(lambda of: sorted(KINDS[of](self)), KINDS)
            return {kind: ids for kind, ids in zip(KINDS, found, strict=True) if ids}

    def listed(self, service: str, operation: str, **arguments: Any) -> Iterator[Any]:
        """All that an operation lists, page by page."""
        client = self.client(service)
        if client.can_paginate(operation):
            pages = client.get_paginator(operation)
            for page in pages.paginate(**arguments):
                yield from page.get(pages.result_keys[0].expression, [])
        else:
            answer = getattr(client, operation)(**arguments)
            yield from next((value for value in answer.values() if isinstance(value, list)), [])

    def of_ec2(self, operation: str) -> Iterator[dict[str, Any]]:
        """What is in VPCs other than the one that each account has."""
        vpcs = self.listed("ec2", "describe_vpcs")
        default = {vpc["VpcId"] for vpc in vpcs if vpc["IsDefault"]}
        for thing in self.listed("ec2", operation):
            attached = [one["VpcId"] for one in thing.get("Attachments", []) if "VpcId" in one]
            if not default & {thing.get("VpcId"), *attached}:
                yield thing

    def instances(self) -> Iterator[dict[str, Any]]:
        """Instances that still cost something."""
        for reservation in self.listed("ec2", "describe_instances"):
            for instance in reservation["Instances"]:
                if instance["State"]["Name"] != "terminated":
                    yield instance

    def interfaces(self) -> Iterator[str]:
        """Network interfaces, but for those that LocalStack 4.9 keeps of what it has terminated."""
        there = {instance["InstanceId"] for instance in self.instances()}
        for one in self.of_ec2("describe_network_interfaces"):
            instance = one.get("Attachment", {}).get("InstanceId")
            if instance is None or instance in there:
                yield one["NetworkInterfaceId"]


def _ec2(operation: str, key: str) -> Callable[[Account], Iterator[str]]:
    return lambda account: (one[key] for one in account.of_ec2(operation))


def _list(
    service: str, operation: str, key: str = "", **arguments: Any
) -> Callable[[Account], Iterator[str]]:
    return lambda account: (
        one[key] if key else one for one in account.listed(service, operation, **arguments)
    )


KINDS: dict[str, Callable[[Account], Iterator[str]]] = {
    "vpcs": _ec2("describe_vpcs", "VpcId"),
    "subnets": _ec2("describe_subnets", "SubnetId"),
    "internet gateways": _ec2("describe_internet_gateways", "InternetGatewayId"),
    "route tables": _ec2("describe_route_tables", "RouteTableId"),
    "security groups": _ec2("describe_security_groups", "GroupId"),
    "network interfaces": Account.interfaces,
    "instances": lambda account: (one["InstanceId"] for one in account.instances()),
    "volumes": _list("ec2", "describe_volumes", "VolumeId"),
    "roles": _list("iam", "list_roles", "RoleName"),
    "instance profiles": _list("iam", "list_instance_profiles", "InstanceProfileName"),
    "policies": _list("iam", "list_policies", "Arn", Scope="Local"),
    "buckets": _list("s3", "list_buckets", "Name"),
    "topics": _list("sns", "list_topics", "TopicArn"),
    "subscriptions": _list("sns", "list_subscriptions", "SubscriptionArn"),
    "queues": _list("sqs", "list_queues"),
    # One that is scheduled for deletion holds its name for days.
    "secrets": _list("secretsmanager", "list_secrets", "ARN", IncludePlannedDeletion=True),
    "parameters": _list("ssm", "describe_parameters", "Name"),
    "zones": _list("route53", "list_hosted_zones", "Id"),
}
SERVICES = ("ec2", "iam", "s3", "sns", "sqs", "secretsmanager", "ssm", "route53")
