"""The stand-in for the aws provider: types and properties as in pulumi-aws 7.51.

One module a service, with its `KINDS`.
"""

from __future__ import annotations

from typing import Any

from tests.providers.aws import (
    ec2,
    ec2_groups,
    ec2_instances,
    ec2_routes,
    iam,
    route53,
    s3,
    s3_parts,
    secretsmanager,
    sns,
    sqs,
    ssm,
)
from tests.providers.aws.api import SETTINGS, Api
from tests.providers.aws.functions import FUNCTIONS
from tests.providers.base import Props, StandIn, table


class Aws(StandIn):
    """A stand-in over botocore."""

    name = "aws"
    settings = SETTINGS
    kinds = table(
        *ec2.KINDS,
        *ec2_groups.KINDS,
        *ec2_instances.KINDS,
        *ec2_routes.KINDS,
        *iam.KINDS,
        *route53.KINDS,
        *s3.KINDS,
        *s3_parts.KINDS,
        *secretsmanager.KINDS,
        *sns.KINDS,
        *sqs.KINDS,
        *ssm.KINDS,
    )
    functions = FUNCTIONS

    def connect(self, config: Props) -> Api:
        """Check the settings as the real provider does."""
        return Api(config)

    def explain(self, error: Exception) -> str | None:
        """The operation, AWS's code and message, and the HTTP status."""
        from botocore.exceptions import BotoCoreError, ClientError

        if isinstance(error, ClientError):
            answer: dict[str, Any] = dict(error.response)
            told = answer.get("Error", {})
            status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", "no status")
            return (
                f"{error.operation_name}: {told.get('Code')}: {told.get('Message')} (HTTP {status})"
            )
        return str(error) if isinstance(error, BotoCoreError) else None


PROVIDER = Aws()
