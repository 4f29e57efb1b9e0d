"""The stand-in for the aws provider: types and properties as in pulumi-aws 7.51.

One module a service, with its `KINDS`. What is known to differ from the official provider:

- Types, inputs, settings and functions that no stack of `stacks.aws` needs are refused by name: no
  `namePrefix`, no keys of KMS, no write-only values, no assumed roles.
- A failed request is repeated as botocore's standard mode has it, twice; the official provider
  repeats it up to 24 times. `aws:maxRetries` is obeyed by both.
- Outputs are those that stacks use: a bucket tells nothing of what is set on it by resources of
  their own (policy, versioning and so on). In a preview a region that is not given is unknown.
- Other than there, a subnet gets another route table by replacement of the association, the old one
  deleted first, and the type of a record changes by replacement; instances take user data only with
  `userDataReplaceOnChange`, and records only values and a TTL.
- A parameter's `tier` that goes back to Standard is an update, which AWS refuses; there another
  parameter. A VPC whose `instanceTenancy` goes from dedicated to default is another one here.
- It waits for a minute for AWS to have made or deleted something, there it is up to 20.
- As there, a create whose answer is lost, and that AWS refuses the second time, is not kept in the
  state: the parameters of Systems Manager, and on LocalStack, which does not know a repeated
  request by its token, the secrets of Secrets Manager.
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
