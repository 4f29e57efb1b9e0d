"""S3: what is set on a bucket by resources of its own. Their id is the bucket's name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from tests.providers.aws.kind import AwsKind, text
from tests.providers.base import Made, Props

if TYPE_CHECKING:
    from tests.providers.aws.api import Api


class BucketPart(AwsKind):
    """One setting of a bucket: `put`, `get` and `remove` are all that differs."""

    service = "s3"
    gone = frozenset({"404", "NoSuchBucket"})
    immutable = frozenset({"bucket", "region"})
    outputs = frozenset({"region"})

    def put(self, client: Any, bucket: str, inputs: Props) -> None:
        """Set it."""
        raise NotImplementedError

    def get(self, client: Any, bucket: str) -> Props:
        """As it is; an error of `gone` when it is not set."""
        raise NotImplementedError

    def remove(self, client: Any, bucket: str, state: Props) -> None:
        """Set it no longer."""
        raise NotImplementedError

    def create(self, api: Api, inputs: Props) -> Made:
        """Set it for the first time."""
        client = self.client(api, inputs)
        self.put(client, inputs["bucket"], inputs)
        return Made(inputs["bucket"], {"region": client.meta.region_name})

    def read(self, api: Api, id_: str, state: Props) -> Props | None:
        """As it is now."""
        client = self.client(api, state)
        with self.may_be_gone():
            found = self.get(client, id_)
            return {"bucket": id_, "region": client.meta.region_name, **found}
        return None

    def update(self, api: Api, id_: str, old: Props, new: Props) -> Props:
        """Set it anew."""
        self.put(self.client(api, old), id_, new)
        return {}

    def delete(self, api: Api, id_: str, state: Props) -> None:
        """Remove it; a bucket that is gone has taken it along."""
        with self.may_be_gone():
            self.remove(self.client(api, state), id_, state)


class BucketVersioning(BucketPart):
    """Versioning. It cannot be undone, only suspended."""

    token = "aws:s3/bucketVersioning:BucketVersioning"
    inputs = frozenset({"bucket", "region", "versioningConfiguration"})

    def put(self, client: Any, bucket: str, inputs: Props) -> None:
        """Enable or suspend it."""
        status = inputs["versioningConfiguration"]["status"]
        if status != "Disabled":  # As a bucket is from its beginning.
            configuration = {"Status": status}
            client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=configuration)

    def get(self, client: Any, bucket: str) -> Props:
        """Enabled, Suspended, or Disabled when it never was enabled."""
        status = client.get_bucket_versioning(Bucket=bucket).get("Status", "Disabled")
        return {"versioningConfiguration": {"status": status}}

    def remove(self, client: Any, bucket: str, state: Props) -> None:
        """Suspend it if it was enabled."""
        if state["versioningConfiguration"]["status"] == "Enabled":
            suspended = {"Status": "Suspended"}
            client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=suspended)


class BucketPolicy(BucketPart):
    """The bucket's policy."""

    token = "aws:s3/bucketPolicy:BucketPolicy"
    gone = BucketPart.gone | {"NoSuchBucketPolicy"}
    inputs = frozenset({"bucket", "policy", "region"})
    documents = frozenset({"policy"})

    def put(self, client: Any, bucket: str, inputs: Props) -> None:
        """Put it."""
        client.put_bucket_policy(Bucket=bucket, Policy=text(inputs["policy"]))

    def get(self, client: Any, bucket: str) -> Props:
        """As JSON text."""
        return {"policy": client.get_bucket_policy(Bucket=bucket)["Policy"]}

    def remove(self, client: Any, bucket: str, state: Props) -> None:  # noqa: ARG002
        """Delete it."""
        client.delete_bucket_policy(Bucket=bucket)


class BucketPublicAccessBlock(BucketPart):
    """Whether the public can be let in."""

    token = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
    gone = BucketPart.gone | {"NoSuchPublicAccessBlockConfiguration"}
    flags = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    inputs = frozenset({"bucket", "region", *flags})
    defaults: ClassVar = dict.fromkeys(flags, False)

    def put(self, client: Any, bucket: str, inputs: Props) -> None:
        """Put all four."""
        configuration = {_pascal(flag): inputs[flag] for flag in self.flags}
        client.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=configuration)

    def get(self, client: Any, bucket: str) -> Props:
        """All four."""
        answer = client.get_public_access_block(Bucket=bucket)
        found = answer["PublicAccessBlockConfiguration"]
        return {flag: found.get(_pascal(flag), False) for flag in self.flags}

    def remove(self, client: Any, bucket: str, state: Props) -> None:  # noqa: ARG002
        """Delete it."""
        client.delete_public_access_block(Bucket=bucket)


class BucketLifecycleConfiguration(BucketPart):
    """When objects, and old versions of them, expire."""

    token = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
    gone = BucketPart.gone | {"NoSuchLifecycleConfiguration"}
    inputs = frozenset({"bucket", "region", "rules"})

    def put(self, client: Any, bucket: str, inputs: Props) -> None:
        """Put all rules."""
        rules = [{"Filter": {"Prefix": ""}, **_aws(rule)} for rule in inputs["rules"]]
        client.put_bucket_lifecycle_configuration(
            Bucket=bucket, LifecycleConfiguration={"Rules": rules}
        )

    def get(self, client: Any, bucket: str) -> Props:
        """All rules."""
        answer = client.get_bucket_lifecycle_configuration(Bucket=bucket)
        return {"rules": [_pulumi(rule) for rule in answer["Rules"]]}

    def remove(self, client: Any, bucket: str, state: Props) -> None:  # noqa: ARG002
        """Delete all rules."""
        client.delete_bucket_lifecycle(Bucket=bucket)


def _pascal(key: str) -> str:
    return "ID" if key == "id" else key[0].upper() + key[1:]


def _aws(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_pascal(key): _aws(item) for key, item in value.items()}
    return [_aws(item) for item in value] if isinstance(value, list) else value


def _pulumi(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            "id" if key == "ID" else key[0].lower() + key[1:]: _pulumi(item)
            for key, item in value.items()
        }
    return [_pulumi(item) for item in value] if isinstance(value, list) else value


KINDS = (
    BucketLifecycleConfiguration(),
    BucketPolicy(),
    BucketPublicAccessBlock(),
    BucketVersioning(),
)
