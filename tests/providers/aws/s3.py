"""S3: buckets and what is set on them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from tests.providers.aws.kind import AwsKind, by_key, made, pairs
from tests.providers.base import UNKNOWN, Made, Props

if TYPE_CHECKING:
    from tests.providers.aws.api import Api


class Bucket(AwsKind):
    """A bucket. The id is its name."""

    token = "aws:s3/bucket:Bucket"
    service = "s3"
    gone = frozenset({"404", "NoSuchBucket"})
    inputs = frozenset({"bucket", "forceDestroy", "region", "tags"})
    outputs = frozenset(
        {
            *("arn", "bucketDomainName", "bucketRegion", "bucketRegionalDomainName"),
            *("bucket", "region", "tagsAll"),
        }
    )
    volatile = frozenset({"tagsAll"})
    immutable = frozenset({"bucket", "region"})
    defaults: ClassVar = {"forceDestroy": False}
    autoname = "bucket"

    def check(self, inputs: Props) -> Iterator[tuple[str, str]]:
        """Names as S3 takes them."""
        name = inputs.get("bucket", "as-good-as-any")
        if name != UNKNOWN and (name != name.lower() or not 3 <= len(name) <= 63):
            yield "bucket", "must be of 3 to 63 characters and lowercase"

    def make_name(self, candidate: str, inputs: Props) -> str:  # noqa: ARG002
        """Lowercase, and no longer than S3 takes."""
        return candidate.lower().replace("_", "-")[-63:].lstrip("-.")

    def create(self, api: Api, inputs: Props) -> Made:
        """Create it, then tag it."""
        client, name = self.client(api, inputs), inputs["bucket"]
        region = client.meta.region_name
        # us-east-1 is S3's own default, and is refused when it is named.
        place = {"LocationConstraint": region}
        where = {} if region == "us-east-1" else {"CreateBucketConfiguration": place}
        client.create_bucket(Bucket=name, **where)
        outputs = self._outputs(name, region)
        tags = api.tags(inputs)
        with made(name, outputs):
            _tag(client, name, tags)
        return Made(name, {**outputs, "tagsAll": tags})

    def read(self, api: Api, id_: str, state: Props) -> Props | None:
        """The bucket and its tags."""
        client = self.client(api, state)
        with self.may_be_gone():
            client.head_bucket(Bucket=id_)
            tags = api.own_tags(_tags(client, id_), state)
            return {**self._outputs(id_, client.meta.region_name), **tags}
        return None

    def update(self, api: Api, id_: str, old: Props, new: Props) -> Props:
        """Tags are all that can change."""
        tags = api.tags(new)
        _tag(self.client(api, old), id_, tags)
        return {"tagsAll": tags}

    def delete(self, api: Api, id_: str, state: Props) -> None:
        """Delete it; with `forceDestroy` all that is in it first."""
        client = self.client(api, state)
        with self.may_be_gone():
            if state.get("forceDestroy"):
                _empty(client, id_)
            client.delete_bucket(Bucket=id_)

    @staticmethod
    def _outputs(name: str, region: str) -> Props:
        return {
            "bucket": name,
            "arn": f"arn:aws:s3:::{name}",
            "region": region,
            "bucketRegion": region,
            "bucketDomainName": f"{name}.s3.amazonaws.com",
            "bucketRegionalDomainName": f"{name}.s3.{region}.amazonaws.com",
        }


def _tag(client: Any, name: str, tags: dict[str, str]) -> None:
    if tags:
        client.put_bucket_tagging(Bucket=name, Tagging={"TagSet": pairs(tags)})
    else:
        client.delete_bucket_tagging(Bucket=name)


def _tags(client: Any, name: str) -> dict[str, str]:
    try:
        return by_key(client.get_bucket_tagging(Bucket=name)["TagSet"])
    except client.exceptions.ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchTagSet":
            return {}
        raise


def _empty(client: Any, name: str) -> None:
    for page in client.get_paginator("list_object_versions").paginate(Bucket=name):
        found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
        objects = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]
        if objects:
            client.delete_objects(Bucket=name, Delete={"Objects": objects, "Quiet": True})


KINDS = (Bucket(),)
