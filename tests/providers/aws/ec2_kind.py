"""What the resource types of EC2 have in common."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.providers.aws.api import Api
from tests.providers.aws.kind import AwsKind, by_key, pairs
from tests.providers.aws.waiting import persist
from tests.providers.base import Props


class Ec2Kind(AwsKind):
    """A resource of EC2, known by its id, with tags."""

    service = "ec2"
    noun: ClassVar[str]
    """EC2's word for the type, in ARNs and in tag specifications."""
    volatile = frozenset({"tagsAll"})

    def tagging(self, api: Api, inputs: Props) -> list[dict[str, Any]]:
        """Tags for the call that creates the resource."""
        tags = api.tags(inputs)
        return [{"ResourceType": self.noun, "Tags": pairs(tags)}] if tags else []

    def retag(self, api: Api, id_: str, old: Props, new: Props) -> Props:
        """Change the tags; the outputs that tell them."""
        before, after = old.get("tagsAll") or {}, api.tags(new)
        client = self.client(api, new)
        dropped = sorted(before.keys() - after.keys())
        if dropped:
            client.delete_tags(Resources=[id_], Tags=[{"Key": key} for key in dropped])
        if after != before and after:
            client.create_tags(Resources=[id_], Tags=pairs(after))
        return {"tagsAll": after}

    def common(self, api: Api, id_: str, state: Props, found: Props) -> Props:
        """The outputs that all have, from EC2's description of the resource."""
        owner = found.get("OwnerId") or api.account
        region = state.get("region") or api.region
        return {
            "arn": f"arn:aws:ec2:{region}:{owner}:{self.noun}/{id_}",
            "ownerId": owner,
            "region": region,
            **api.own_tags(by_key(found.get("Tags", [])), state),
        }

    def described(self, api: Api, state: Props, operation: str, **ids: Any) -> Props | None:
        """The one thing that an operation describes; None when it is gone."""
        try:
            answer = getattr(self.client(api, state), operation)(**ids)
        except Exception as error:
            if self.is_gone(error):
                return None
            raise
        things: list[Props] = next(one for one in answer.values() if isinstance(one, list))
        return things[0] if things else None

    def removed(self, api: Api, state: Props, operation: str, **ids: Any) -> None:
        """Delete it; wait while others still use it. Gone already is a success."""
        call = getattr(self.client(api, state), operation)
        try:
            persist(lambda: call(**ids), lambda e: self.code(e) == "DependencyViolation")
        except Exception as error:
            if not self.is_gone(error):
                raise
