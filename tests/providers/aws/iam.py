# ruff: noqa: ARG002 - the methods' arguments are those of Kind
"""Roles of IAM, their policies, and instance profiles."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, ClassVar

from tests.providers.aws.api import Api
from tests.providers.aws.kind import AwsKind, by_key, made, pairs
from tests.providers.aws.waiting import persist
from tests.providers.base import Made, Props


class IamKind(AwsKind):
    """A resource of IAM, which is in no region."""

    service = "iam"
    gone = frozenset({"NoSuchEntity"})

    def found(self, call: Callable[..., Any], **names: str) -> Props | None:
        """What a call tells of a resource; None when it is gone."""
        try:
            answer: Props = call(**names)
        except Exception as error:
            if self.is_gone(error):
                return None
            raise
        return answer

    def settled(self, call: Callable[..., Any], **names: Any) -> None:
        """A delete or a removal: gone already is a success; while in use it is tried again."""
        try:
            persist(lambda: call(**names), lambda e: self.code(e) == "DeleteConflict")
        except Exception as error:
            if not self.is_gone(error):
                raise

    def retag(self, api: Api, what: str, names: Props, old: Props, new: Props) -> Props:
        """Change the tags of a `role` or an `instance_profile`; the outputs that tell them."""
        client = api.client("iam")
        before, after = old.get("tagsAll") or {}, api.tags(new)
        dropped = sorted(before.keys() - after.keys())
        if dropped:
            getattr(client, f"untag_{what}")(TagKeys=dropped, **names)
        if after and after != before:
            getattr(client, f"tag_{what}")(Tags=pairs(after), **names)
        return {"tagsAll": after}


def _text(document: Any) -> str:
    # botocore decodes the policies that IAM answers with.
    return document if isinstance(document, str) else json.dumps(document)


class Role(IamKind):
    token = "aws:iam/role:Role"
    inputs = frozenset(
        {
            *("name", "assumeRolePolicy", "description", "forceDetachPolicies"),
            *("maxSessionDuration", "path", "tags"),
        }
    )
    outputs = frozenset({"arn", "createDate", "uniqueId", "tagsAll"})
    volatile = frozenset({"tagsAll"})
    immutable = frozenset({"name", "path"})
    documents = frozenset({"assumeRolePolicy"})
    defaults: ClassVar = {"forceDetachPolicies": False, "maxSessionDuration": 3600, "path": "/"}
    autoname = "name"

    def create(self, api: Api, inputs: Props) -> Made:
        tags, about = api.tags(inputs), inputs.get("description")
        api.client("iam").create_role(
            RoleName=inputs["name"],
            AssumeRolePolicyDocument=inputs["assumeRolePolicy"],
            Path=inputs["path"],
            MaxSessionDuration=inputs["maxSessionDuration"],
            Tags=pairs(tags),
            **({"Description": about} if about else {}),
        )
        with made(inputs["name"], {}):
            return Made(inputs["name"], self.read(api, inputs["name"], inputs) or {})

    def read(self, api: Api, id_: str, state: Props) -> Props | None:
        answer = self.found(api.client("iam").get_role, RoleName=id_)
        if answer is None:
            return None
        role = answer["Role"]
        tags = by_key(role.get("Tags", []))
        return {
            "name": role["RoleName"],
            "arn": role["Arn"],
            "uniqueId": role["RoleId"],
            "createDate": role["CreateDate"].isoformat(),
            "assumeRolePolicy": _text(role["AssumeRolePolicyDocument"]),
            "description": role.get("Description", ""),
            "maxSessionDuration": role.get("MaxSessionDuration", 3600),
            "path": role["Path"],
            "forceDetachPolicies": bool(state.get("forceDetachPolicies")),
            **api.own_tags(tags, state),
        }

    def update(self, api: Api, id_: str, old: Props, new: Props) -> Props:
        client, now = api.client("iam"), self.read(api, id_, old) or old
        policy = new["assumeRolePolicy"]
        if not self.equal("assumeRolePolicy", now["assumeRolePolicy"], policy):
            client.update_assume_role_policy(RoleName=id_, PolicyDocument=policy)
        about = new.get("description") or ""
        wanted = {"description": about, "maxSessionDuration": new["maxSessionDuration"]}
        if any(now.get(key) != value for key, value in wanted.items()):
            duration = wanted["maxSessionDuration"]
            client.update_role(RoleName=id_, Description=about, MaxSessionDuration=duration)
        return self.retag(api, "role", {"RoleName": id_}, now, new)

    def delete(self, api: Api, id_: str, state: Props) -> None:
        client = api.client("iam")
        # As the real provider: a role goes even when a profile that is not in the state has it.
        answer = self.found(client.list_instance_profiles_for_role, RoleName=id_)
        for profile in (answer or {}).get("InstanceProfiles", []):
            name = profile["InstanceProfileName"]
            self.settled(
                client.remove_role_from_instance_profile, RoleName=id_, InstanceProfileName=name
            )
        if answer is not None and state.get("forceDetachPolicies"):
            for one in client.list_attached_role_policies(RoleName=id_)["AttachedPolicies"]:
                self.settled(client.detach_role_policy, RoleName=id_, PolicyArn=one["PolicyArn"])
            for name in client.list_role_policies(RoleName=id_)["PolicyNames"]:
                self.settled(client.delete_role_policy, RoleName=id_, PolicyName=name)
        self.settled(client.delete_role, RoleName=id_)


class RolePolicy(IamKind):
    token = "aws:iam/rolePolicy:RolePolicy"
    inputs = frozenset({"name", "policy", "role"})
    immutable = frozenset({"name", "role"})
    documents = frozenset({"policy"})
    autoname = "name"

    def create(self, api: Api, inputs: Props) -> Made:
        return Made(f"{inputs['role']}:{inputs['name']}", self._put(api, inputs))

    def read(self, api: Api, id_: str, state: Props) -> Props | None:
        role, name = id_.split(":", 1)
        call = api.client("iam").get_role_policy
        found = self.found(call, RoleName=role, PolicyName=name)
        return found and {"role": role, "name": name, "policy": _text(found["PolicyDocument"])}

    def update(self, api: Api, id_: str, old: Props, new: Props) -> Props:
        return self._put(api, new)

    def delete(self, api: Api, id_: str, state: Props) -> None:
        role, name = id_.split(":", 1)
        self.settled(api.client("iam").delete_role_policy, RoleName=role, PolicyName=name)

    def _put(self, api: Api, inputs: Props) -> Props:
        names = {"RoleName": inputs["role"], "PolicyName": inputs["name"]}
        api.client("iam").put_role_policy(PolicyDocument=inputs["policy"], **names)
        return {}


class RolePolicyAttachment(IamKind):
    token = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
    inputs = frozenset({"policyArn", "role"})
    immutable = inputs

    def create(self, api: Api, inputs: Props) -> Made:
        names = {"RoleName": inputs["role"], "PolicyArn": inputs["policyArn"]}
        api.client("iam").attach_role_policy(**names)
        return Made(f"{inputs['role']}/{inputs['policyArn']}", {})

    def read(self, api: Api, id_: str, state: Props) -> Props | None:
        role, arn = id_.split("/", 1)
        pages = api.client("iam").get_paginator("list_attached_role_policies")
        found = self.found(
            lambda: {
                "all": [
                    one
                    for page in pages.paginate(RoleName=role)
                    for one in page["AttachedPolicies"]
                ]
            }
        )
        there = arn in {one["PolicyArn"] for one in (found or {}).get("all", [])}
        return {"role": role, "policyArn": arn} if there else None

    def delete(self, api: Api, id_: str, state: Props) -> None:
        role, arn = id_.split("/", 1)
        if self.read(api, id_, state) is not None:  # LocalStack 4.9: 500 when the role is gone
            self.settled(api.client("iam").detach_role_policy, RoleName=role, PolicyArn=arn)


class InstanceProfile(IamKind):
    token = "aws:iam/instanceProfile:InstanceProfile"
    inputs = frozenset({"name", "path", "role", "tags"})
    outputs = frozenset({"arn", "createDate", "uniqueId", "tagsAll"})
    volatile = frozenset({"tagsAll"})
    immutable = frozenset({"name", "path"})
    defaults: ClassVar = {"path": "/"}
    autoname = "name"

    def create(self, api: Api, inputs: Props) -> Made:
        client, name = api.client("iam"), inputs["name"]
        client.create_instance_profile(
            InstanceProfileName=name, Path=inputs["path"], Tags=pairs(api.tags(inputs))
        )
        with made(name, {}):
            client.get_waiter("instance_profile_exists").wait(InstanceProfileName=name)
            self._role(api, name, "", inputs.get("role") or "")
            return Made(name, self.read(api, name, inputs) or {})

    def read(self, api: Api, id_: str, state: Props) -> Props | None:
        answer = self.found(api.client("iam").get_instance_profile, InstanceProfileName=id_)
        if answer is None:
            return None
        profile = answer["InstanceProfile"]
        tags = by_key(profile.get("Tags", []))
        return {
            "name": profile["InstanceProfileName"],
            "arn": profile["Arn"],
            "uniqueId": profile["InstanceProfileId"],
            "createDate": profile["CreateDate"].isoformat(),
            "path": profile["Path"],
            "role": profile["Roles"][0]["RoleName"] if profile["Roles"] else "",
            **api.own_tags(tags, state),
        }

    def update(self, api: Api, id_: str, old: Props, new: Props) -> Props:
        now = self.read(api, id_, old) or old
        self._role(api, id_, now.get("role") or "", new.get("role") or "")
        return self.retag(api, "instance_profile", {"InstanceProfileName": id_}, now, new)

    def delete(self, api: Api, id_: str, state: Props) -> None:
        now = self.read(api, id_, state)
        if now is not None:
            self._role(api, id_, now["role"], "")
            call = api.client("iam").delete_instance_profile
            self.settled(call, InstanceProfileName=id_)

    def _role(self, api: Api, id_: str, old: str, new: str) -> None:
        client, profile = api.client("iam"), {"InstanceProfileName": id_}
        if old and old != new:
            self.settled(client.remove_role_from_instance_profile, RoleName=old, **profile)
        if new and new != old:
            # A role that was just made is known to the rest of IAM only after a while.
            persist(
                lambda: client.add_role_to_instance_profile(RoleName=new, **profile), self.is_gone
            )


KINDS = (Role(), RolePolicy(), RolePolicyAttachment(), InstanceProfile())
