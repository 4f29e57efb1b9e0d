"""Systems Manager: parameters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from tests.providers.aws.kind import AwsKind, by_key, pairs, retag
from tests.providers.base import Made, Props

if TYPE_CHECKING:
    from tests.providers.aws.api import Api


class Parameter(AwsKind):
    """A parameter of type String, StringList or SecureString. The id is its name."""

    token = "aws:ssm/parameter:Parameter"
    service = "ssm"
    gone = frozenset({"ParameterNotFound", "InvalidResourceId"})
    inputs = frozenset(
        {
            *("allowedPattern", "dataType", "description", "insecureValue", "keyId", "name"),
            *("overwrite", "region", "tags", "tier", "type", "value"),
        }
    )
    outputs = frozenset(
        {"arn", "dataType", "hasValueWo", "name", "region", "tagsAll", "tier", "version"}
    )
    volatile = frozenset({"tagsAll", "version"})
    immutable = frozenset({"dataType", "name", "region"})
    secret = frozenset({"value"})
    defaults: ClassVar = {"allowedPattern": "", "description": "", "overwrite": False}
    autoname = "name"

    def check(self, inputs: Props) -> Iterator[tuple[str, str]]:
        """It needs a value, and one only."""
        if ("value" in inputs) == ("insecureValue" in inputs):
            yield "value", "one of value and insecureValue must be given"

    def create(self, api: Api, inputs: Props) -> Made:
        """One call makes all of it."""
        client, tags = self.client(api, inputs), api.tags(inputs)
        if inputs["overwrite"]:  # The service takes no tags then.
            self._put(client, inputs, Overwrite=True)
            self._tag(client, inputs["name"], {}, tags)
        else:
            self._put(client, inputs, Tags=pairs(tags))
        found = self._found(client, inputs["name"]) or {}
        return Made(
            inputs["name"], {**{k: found[k] for k in self.outputs & found.keys()}, "tagsAll": tags}
        )

    def read(self, api: Api, id_: str, state: Props) -> Props | None:
        """With its value."""
        client = self.client(api, state)
        found = self._found(client, id_)
        if found is None:
            return None
        listed = client.list_tags_for_resource(ResourceType="Parameter", ResourceId=id_)
        if "insecureValue" in state:
            found["insecureValue"] = found.pop("value")
        return {**found, **api.own_tags(by_key(listed["TagList"]), state)}

    def update(self, api: Api, id_: str, old: Props, new: Props) -> Props:
        """A new version of it."""
        client, tags = self.client(api, old), api.tags(new)
        self._put(client, {**new, "name": id_}, Overwrite=True)
        self._tag(client, id_, old.get("tagsAll") or {}, tags)
        found = self._found(client, id_) or {}
        changed = {key: found[key] for key in ("dataType", "tier", "version") if key in found}
        return {**changed, "tagsAll": tags}

    def delete(self, api: Api, id_: str, state: Props) -> None:
        """Delete it."""
        with self.may_be_gone():
            self.client(api, state).delete_parameter(Name=id_)

    @staticmethod
    def _put(client: Any, inputs: Props, **more: Any) -> None:
        named = {
            *(("AllowedPattern", "allowedPattern"), ("DataType", "dataType")),
            *(("Description", "description"), ("KeyId", "keyId"), ("Tier", "tier")),
        }
        given = {name: inputs[key] for name, key in named if inputs.get(key)}
        value = inputs["value"] if "value" in inputs else inputs["insecureValue"]
        client.put_parameter(Name=inputs["name"], Value=value, Type=inputs["type"], **given, **more)

    @staticmethod
    def _tag(client: Any, name: str, old: dict[str, str], new: dict[str, str]) -> None:
        added, removed = retag(old, new)
        which = {"ResourceType": "Parameter", "ResourceId": name}
        if removed:
            client.remove_tags_from_resource(**which, TagKeys=removed)
        if added:
            client.add_tags_to_resource(**which, Tags=pairs(added))

    def _found(self, client: Any, name: str) -> Props | None:
        with self.may_be_gone():
            found = client.get_parameter(Name=name, WithDecryption=True)["Parameter"]
            # Only the listing tells these.
            filters = [{"Key": "Name", "Values": [name]}]
            listed = client.describe_parameters(ParameterFilters=filters)["Parameters"]
            more = listed[0] if listed else {}
            return {
                "arn": found["ARN"],
                "name": found["Name"],
                "type": found["Type"],
                "value": found["Value"],
                "version": found["Version"],
                "dataType": found.get("DataType", "text"),
                "description": more.get("Description", ""),
                "tier": more.get("Tier", "Standard"),
                "region": client.meta.region_name,
                "hasValueWo": False,
            }
        return None


KINDS = (Parameter(),)
