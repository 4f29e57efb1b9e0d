"""A stack with an S3 bucket: private, versioned, and reached by TLS alone.

Config, all optional: `bucket` (the name; generated), `versioning` (true), `expire_old_versions`
(days that a replaced or deleted version is kept; 0 keeps them for ever), `force_destroy` (false:
a bucket with objects in it is not deleted), `tags` (a JSON object).
Outputs: `bucket`, `bucket_arn`, `domain_name`, `region`.

Encrypted by S3 itself, as every bucket is (SSE-S3).
"""

from __future__ import annotations

import pulumi
from pulumi_aws import s3

from stacks.aws.common import tags


def program() -> None:
    """The stack. Raises ValueError for days that are none."""
    config = pulumi.Config()
    days = config.get_int("expire_old_versions", 0)
    if days < 0:
        raise ValueError(f"expire_old_versions must be a number of days, not {days}.")
    bucket = s3.Bucket(
        "bucket",
        bucket=config.get("bucket"),
        force_destroy=config.get_bool("force_destroy", False),  # noqa: FBT003 - its signature
        tags=tags("bucket"),
    )
    on = config.get_bool("versioning", True)  # noqa: FBT003 - its signature
    versioning = s3.BucketVersioning(
        "versioning",
        bucket=bucket.bucket,
        versioning_configuration=s3.BucketVersioningVersioningConfigurationArgs(
            status="Enabled" if on else "Suspended"
        ),
    )
    if days:
        _expire(bucket, days, versioning)
    block = s3.BucketPublicAccessBlock(
        "private",
        bucket=bucket.bucket,
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
    )
    s3.BucketPolicy(
        "tls-only",
        bucket=bucket.bucket,
        policy=pulumi.Output.json_dumps(tls_only(bucket.arn)),
        # S3 refuses changes of a bucket that come at the same time.
        opts=pulumi.ResourceOptions(depends_on=[block]),
    )
    pulumi.export("bucket", bucket.bucket)
    pulumi.export("bucket_arn", bucket.arn)
    pulumi.export("domain_name", bucket.bucket_regional_domain_name)
    pulumi.export("region", bucket.region)


def tls_only(arn: pulumi.Output[str]) -> dict[str, object]:
    """A policy that denies everybody everything without TLS."""
    statement = {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, pulumi.Output.concat(arn, "/*")],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def _expire(bucket: s3.Bucket, days: int, versioning: s3.BucketVersioning) -> None:
    expiration = s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
        noncurrent_days=days
    )
    s3.BucketLifecycleConfiguration(
        "expire-old-versions",
        bucket=bucket.bucket,
        rules=[
            s3.BucketLifecycleConfigurationRuleArgs(
                id="expire-old-versions",
                status="Enabled",
                filter=s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
                noncurrent_version_expiration=expiration,
            )
        ],
        opts=pulumi.ResourceOptions(depends_on=[versioning]),
    )
