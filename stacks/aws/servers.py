"""A stack with servers: EC2 instances that may use what other stacks have made.

Config: `ami`, `subnet_ids` and `security_group_ids` (JSON lists) are required; `count` (1),
`instance_type` (`t3.micro`), `user_data` (a script for the first boot), `managed_policies` (a
JSON list of policy ARNs), `tags` (a JSON object). `bucket_arn`, `queue_arn`, `topic_arn`,
`secret_arn` and `parameter_arns` (a JSON list) give the servers the use of those, and no more.
Outputs: `instance_ids`, `private_ips`, `public_ips` (lists), `role_name`, `role_arn`,
`instance_profile`.
"""

from __future__ import annotations

import json
from typing import Any

import pulumi
from pulumi_aws import ec2, iam

from stacks.aws.common import tags

ASSUME = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}
USES = {
    "queue_arn": (
        "sqs:SendMessage",
        "sqs:ReceiveMessage",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
    ),
    "topic_arn": ("sns:Publish",),
    "secret_arn": ("secretsmanager:GetSecretValue",),
}


def program() -> None:
    """The stack. Raises ValueError for config that makes no servers."""
    config = pulumi.Config()
    subnets = _ids(config, "subnet_ids")
    groups = _ids(config, "security_group_ids")
    count = config.get_int("count", 1)
    if count < 1:
        raise ValueError(f"count must be at least 1, not {count}.")
    managed = config.get_object("managed_policies", [])
    if not isinstance(managed, list) or not all(isinstance(arn, str) for arn in managed):
        raise ValueError(f"managed_policies must be a JSON list of ARNs, not {managed!r}.")

    role = iam.Role("servers", assume_role_policy=json.dumps(ASSUME), tags=tags("servers"))
    policies: list[pulumi.Resource] = [
        iam.RolePolicyAttachment(arn.rpartition("/")[2], role=role.name, policy_arn=arn)
        for arn in managed
    ]
    allowed = statements(config)
    if allowed:
        policy = json.dumps({"Version": "2012-10-17", "Statement": allowed})
        policies.append(iam.RolePolicy("servers", role=role.name, policy=policy))
    profile = iam.InstanceProfile("servers", role=role.name, tags=tags("servers"))
    user_data = config.get("user_data")
    instances = [
        ec2.Instance(
            f"server-{index}",
            ami=config.require("ami"),
            instance_type=config.get("instance_type", "t3.micro"),
            subnet_id=subnets[index % len(subnets)],
            vpc_security_group_ids=groups,
            iam_instance_profile=profile.name,
            # Credentials of the role are given to sessions alone (IMDSv2), not to a mere GET.
            metadata_options=ec2.InstanceMetadataOptionsArgs(http_tokens="required"),
            user_data=user_data,
            user_data_replace_on_change=True,  # it runs at the first boot and at no other
            tags=tags(f"server-{index}"),
            # The profile alone would let a server boot before it may use anything.
            opts=pulumi.ResourceOptions(depends_on=policies),
        )
        for index in range(count)
    ]
    pulumi.export("instance_ids", [instance.id for instance in instances])
    pulumi.export("private_ips", [instance.private_ip for instance in instances])
    pulumi.export("public_ips", [instance.public_ip for instance in instances])
    pulumi.export("role_name", role.name)
    pulumi.export("role_arn", role.arn)
    pulumi.export("instance_profile", profile.name)


def _ids(config: pulumi.Config, key: str) -> list[str]:
    found = config.require_object(key)
    if not isinstance(found, list) or not found or not all(isinstance(one, str) for one in found):
        raise ValueError(f"{key} must be a JSON list of ids, not {found!r}.")
    return found


def statements(config: pulumi.Config) -> list[dict[str, Any]]:
    """What the servers may do, by the ARNs that the config names."""
    made = []
    bucket = config.get("bucket_arn")
    if bucket:
        made.append(_allow(["s3:ListBucket"], bucket))
        made.append(_allow(["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], f"{bucket}/*"))
    for key, actions in USES.items():
        arn = config.get(key)
        if arn:
            made.append(_allow(list(actions), arn))
    parameters = config.get_object("parameter_arns", [])
    if parameters:
        made.append(_allow(["ssm:GetParameter", "ssm:GetParameters"], parameters))
    return made


def _allow(actions: list[str], resource: str | list[str]) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resource}
