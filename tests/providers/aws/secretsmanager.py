"""Secrets Manager: secrets and their versions."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, ClassVar

from tests.providers.aws.kind import AwsKind, by_key, pairs, retag
from tests.providers.aws.waiting import until
from tests.providers.base import Made, Props

if TYPE_CHECKING:
    from tests.providers.aws.api import Api

GONE = frozenset({"ResourceNotFoundException"})


class Secret(AwsKind):
    """A secret, without its value. The id is its ARN."""

    token = "aws:secretsmanager/secret:Secret"
    service = "secretsmanager"
    gone = GONE
    inputs = frozenset({"description", "name", "recoveryWindowInDays", "region", "tags"})
    outputs = frozenset({"arn", "name", "region", "tagsAll"})
    volatile = frozenset({"tagsAll"})
    immutable = frozenset({"name", "region"})
    defaults: ClassVar = {"description": "", "recoveryWindowInDays": 30}
    autoname = "name"

    def create(self, api: Api, inputs: Props) -> Made:
        """One call makes all of it."""
        client, tags = self.client(api, inputs), api.tags(inputs)
        answer = client.create_secret(
            Name=inputs["name"], Description=inputs["description"], Tags=pairs(tags)
        )
        arn, region = answer["ARN"], client.meta.region_name
        return Made(arn, {"arn": arn, "name": answer["Name"], "region": region, "tagsAll": tags})

    def read(self, api: Api, id_: str, state: Props) -> Props | None:
        """None also when it waits for its deletion."""
        client = self.client(api, state)
        found = self._found(client, id_)
        if found is None:
            return None
        return {
            "arn": id_,
            "name": found["Name"],
            "description": found.get("Description", ""),
            "region": client.meta.region_name,
            **api.own_tags(by_key(found.get("Tags", [])), state),
        }

    def update(self, api: Api, id_: str, old: Props, new: Props) -> Props:
        """Description and tags; the recovery window counts when it is deleted."""
        client, tags = self.client(api, old), api.tags(new)
        client.update_secret(SecretId=id_, Description=new["description"])
        added, removed = retag(old.get("tagsAll") or {}, tags)
        if removed:
            client.untag_resource(SecretId=id_, TagKeys=removed)
        if added:
            client.tag_resource(SecretId=id_, Tags=pairs(added))
        return {"tagsAll": tags}

    def delete(self, api: Api, id_: str, state: Props) -> None:
        """Delete it at once, or after the days of its recovery window."""
        client, days = self.client(api, state), state.get("recoveryWindowInDays", 30)
        when = {"RecoveryWindowInDays": days} if days else {"ForceDeleteWithoutRecovery": True}
        with self.may_be_gone():
            if self._found(client, id_) is not None:
                client.delete_secret(SecretId=id_, **when)
        until(f"secret {id_} is still there", lambda: self._found(client, id_) is None)

    def _found(self, client: Any, arn: str) -> Props | None:
        with self.may_be_gone():
            found: Props = client.describe_secret(SecretId=arn)
            return None if "DeletedDate" in found else found
        return None


class SecretVersion(AwsKind):
    """A secret's value. The id is the secret's ARN and the version's id."""

    token = "aws:secretsmanager/secretVersion:SecretVersion"
    service = "secretsmanager"
    # A secret that waits for its deletion gives no value.
    gone = GONE | {"InvalidRequestException"}
    inputs = frozenset({"region", "secretBinary", "secretId", "secretString"})
    outputs = frozenset(
        {"arn", "hasSecretStringWo", "region", "secretArn", "versionId", "versionStages"}
    )
    immutable = frozenset({"region", "secretBinary", "secretId", "secretString"})
    secret = frozenset({"secretBinary", "secretString"})

    def create(self, api: Api, inputs: Props) -> Made:
        """The value becomes the current one."""
        client = self.client(api, inputs)
        value: Props = {}
        if "secretBinary" in inputs:
            value["SecretBinary"] = base64.b64decode(inputs["secretBinary"])
        else:
            value["SecretString"] = inputs.get("secretString", "")
        answer = client.put_secret_value(SecretId=inputs["secretId"], **value)
        return Made(f"{answer['ARN']}|{answer['VersionId']}", self._outputs(client, answer))

    def read(self, api: Api, id_: str, state: Props) -> Props | None:
        """With its value."""
        client = self.client(api, state)
        arn, _, version = id_.partition("|")
        with self.may_be_gone():
            found = client.get_secret_value(SecretId=arn, VersionId=version)
            value = {"secretString": found.get("SecretString")}
            if "SecretBinary" in found:
                value["secretBinary"] = base64.b64encode(found["SecretBinary"]).decode()
            secret_id = state.get("secretId", arn)
            return {"secretId": secret_id, **value, **self._outputs(client, found)}
        return None

    def delete(self, api: Api, id_: str, state: Props) -> None:
        """Take its labels off, so that the service drops it; the current one goes with the secret.

        As the real provider has it: the label of the current version cannot be taken off.
        """
        client = self.client(api, state)
        arn, _, version = id_.partition("|")
        with self.may_be_gone():
            versions = client.describe_secret(SecretId=arn).get("VersionIdsToStages", {})
            for stage in versions.get(version, ()):
                if stage != "AWSCURRENT":
                    client.update_secret_version_stage(
                        SecretId=arn, VersionStage=stage, RemoveFromVersionId=version
                    )

    @staticmethod
    def _outputs(client: Any, answer: Props) -> Props:
        return {
            "arn": answer["ARN"],
            "secretArn": answer["ARN"],
            "versionId": answer["VersionId"],
            "versionStages": answer.get("VersionStages", []),
            "region": client.meta.region_name,
            "hasSecretStringWo": False,
        }


KINDS = (Secret(), SecretVersion())
