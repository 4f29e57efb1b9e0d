"""Functions of the aws provider (`aws.get_region()` and the like)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.providers.aws.api import Api
    from tests.providers.base import Props


def caller_identity(api: Api, _arguments: Props) -> Props:
    """Whose credentials these are."""
    found = api.identity
    told = {"accountId": found["Account"], "arn": found["Arn"], "userId": found["UserId"]}
    return {"id": found["Account"], **told}


def region(api: Api, arguments: Props) -> Props:
    """The provider's region, or the one that is asked for."""
    name = arguments.get("region") or arguments.get("name") or api.region
    return {"id": name, "name": name, "region": name, "endpoint": "", "description": ""}


FUNCTIONS = {
    "aws:index/getCallerIdentity:getCallerIdentity": caller_identity,
    "aws:index/getRegion:getRegion": region,
}
