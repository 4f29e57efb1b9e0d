"""What CI deploys: a bucket for releases, and the wait until one is reported healthy.

    cd examples/ci
    alma-pulumi up

`github.yml` and `gitlab.yml` run it on machines that are thrown away. So its journal is on
Postgres (ALMA_JOURNAL), its state in a bucket (PULUMI_BACKEND_URL), and whichever machine comes
next goes on with what the last one has begun: see docs/teams.md.
"""

from __future__ import annotations

import time

import pulumi
import pulumi_aws as aws
from pulumi.dynamic import CreateResult, Resource, ResourceProvider

from alma import Saga

PATIENCE = 600


def storage() -> None:
    """The bucket that the release goes to."""
    bucket = aws.s3.Bucket("releases", force_destroy=True)
    pulumi.export("bucket", bucket.bucket)


class HealthProvider(ResourceProvider):
    """Waits for the object `healthy`, which who watches the release puts beside it."""

    def create(self, props: dict[str, str]) -> CreateResult:
        """Wait; that makes nothing, so there is nothing to delete."""
        import boto3
        from botocore.exceptions import ClientError

        client, deadline = boto3.client("s3"), time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                client.head_object(Bucket=props["bucket"], Key="healthy")
            except ClientError:
                time.sleep(1)
            else:
                return CreateResult(id_=props["bucket"], outs=props)
        raise TimeoutError(f"nobody has reported the release in {props['bucket']} healthy")


class Health(Resource):
    """A release that is healthy."""

    def __init__(self, name: str, bucket: pulumi.Input[str]) -> None:
        super().__init__(HealthProvider(), name, {"bucket": bucket})


def release() -> None:
    """The release's health."""
    Health("health", pulumi.Config().require("bucket"))


saga = Saga("shop", stack="prod")
made = saga.add_stack("storage", program=storage)
saga.add_stack(
    "release",
    program=release,
    inputs={"bucket": made.output("bucket")},
    resolver=lambda _: None,  # a wait that was cut off has made nothing
)
