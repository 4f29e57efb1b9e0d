"""Security groups of EC2, with their rules inline."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

from tests.providers.aws.api import Api
from tests.providers.aws.ec2_kind import Ec2Kind
from tests.providers.aws.kind import made
from tests.providers.base import Made, Props

SOURCES = {
    "cidrBlocks": ("IpRanges", "CidrIp"),
    "ipv6CidrBlocks": ("Ipv6Ranges", "CidrIpv6"),
    "prefixListIds": ("PrefixListIds", "PrefixListId"),
    "securityGroups": ("UserIdGroupPairs", "GroupId"),
}
ALL = "-1"
"""The protocol that stands for all traffic; it has no ports."""


class Permission(NamedTuple):
    """One rule as the service has it: one source, or one destination."""

    protocol: str
    ports: tuple[int, int]
    kind: str
    peer: str
    description: str

    def as_given(self) -> list[dict[str, Any]]:
        """As the calls that authorize and revoke take it."""
        listed, key = SOURCES[self.kind]
        peer = {key: self.peer}
        if self.description:
            peer["Description"] = self.description
        ports = dict(zip(("FromPort", "ToPort"), self.ports, strict=True))
        return [
            {
                "IpProtocol": self.protocol,
                **(ports if self.protocol != ALL else {}),
                listed: [peer],
            }
        ]


class SecurityGroup(Ec2Kind):
    token = "aws:ec2/securityGroup:SecurityGroup"
    noun = "security-group"
    gone = frozenset({"InvalidGroup.NotFound", "InvalidGroupId.Malformed"})
    inputs = frozenset(
        {"name", "description", "vpcId", "ingress", "egress", "revokeRulesOnDelete"}
        | {"region", "tags"}
    )
    outputs = frozenset({"arn", "ownerId", "tagsAll", "vpcId", "ingress", "egress"})
    volatile = frozenset({"tagsAll", "ingress", "egress"})
    immutable = frozenset({"name", "description", "vpcId", "region"})
    defaults: ClassVar = {"description": "Managed by Pulumi", "revokeRulesOnDelete": False}
    autoname = "name"

    def equal(self, path: str, old: Any, new: Any) -> bool:
        """Rules have no order, and it does not matter how they are put together."""
        if path in ("ingress", "egress") and isinstance(old, list) and isinstance(new, list):
            return _flat(old, "") == _flat(new, "")
        return super().equal(path, old, new)

    def create(self, api: Api, inputs: Props) -> Made:
        client = self.client(api, inputs)
        vpc = inputs.get("vpcId")
        id_ = client.create_security_group(
            GroupName=inputs["name"],
            Description=inputs["description"],
            TagSpecifications=self.tagging(api, inputs),
            **({"VpcId": vpc} if vpc else {}),
        )["GroupId"]
        with made(id_, {"region": client.meta.region_name}):
            client.get_waiter("security_group_exists").wait(GroupIds=[id_])
            # EC2 lets everything out of a new group; the real provider takes that rule away.
            self._bring(api, id_, {"egress": [], "ingress": [], **inputs})
            return Made(id_, self.read(api, id_, inputs) or {})

    def read(self, api: Api, id_: str, state: Props) -> Props | None:
        found = self.described(api, state, "describe_security_groups", GroupIds=[id_])
        if found is None:
            return None
        return {
            **self.common(api, id_, state, found),
            "name": found["GroupName"],
            "description": found["Description"],
            "vpcId": found.get("VpcId", ""),
            "ingress": _rules(_seen(found["IpPermissions"]), id_),
            "egress": _rules(_seen(found["IpPermissionsEgress"]), id_),
        }

    def update(self, api: Api, id_: str, old: Props, new: Props) -> Props:
        before = self.read(api, id_, old) or old
        # Rules that are no input are somebody else's: single rules.
        self._bring(api, id_, new)
        changed = self.retag(api, id_, before, new)
        now = self.read(api, id_, new) or {}
        return {"ingress": now.get("ingress"), "egress": now.get("egress"), **changed}

    def delete(self, api: Api, id_: str, state: Props) -> None:
        if state.get("revokeRulesOnDelete") and self.read(api, id_, state) is not None:
            self._bring(api, id_, {**state, "ingress": [], "egress": []})
        self.removed(api, state, "delete_security_group", GroupId=id_)

    def _bring(self, api: Api, id_: str, props: Props) -> None:
        client = self.client(api, props)
        found = self.described(api, props, "describe_security_groups", GroupIds=[id_]) or {}
        for way, key in (("ingress", "IpPermissions"), ("egress", "IpPermissionsEgress")):
            if way not in props:
                continue
            now, wanted = _seen(found.get(key, [])), _flat(props[way], id_)
            # First what goes: two rules that differ in their description alone are one to EC2.
            for verb, changing in (("revoke", now - wanted), ("authorize", wanted - now)):
                call = getattr(client, f"{verb}_security_group_{way}")
                for permission in sorted(changing):
                    call(GroupId=id_, IpPermissions=permission.as_given())


def _flat(rules: list[Props], own: str) -> set[Permission]:
    """Rules as a program gives them; `own` is the group's id, for what names itself."""
    permissions = set()
    for rule in rules:
        protocol = {"all": ALL}.get(str(rule["protocol"]).lower(), str(rule["protocol"]).lower())
        ports = (int(rule["fromPort"]), int(rule["toPort"])) if protocol != ALL else (0, 0)
        description = rule.get("description") or ""
        peers = [(kind, peer) for kind in SOURCES for peer in rule.get(kind) or []]
        if rule.get("self"):
            peers.append(("securityGroups", own))
        permissions |= {
            Permission(protocol, ports, kind, peer, description) for kind, peer in peers
        }
    return permissions


def _seen(permissions: list[Props]) -> set[Permission]:
    """Rules as the service tells them."""
    return {
        Permission(
            permission["IpProtocol"],
            (permission.get("FromPort", 0), permission.get("ToPort", 0)),
            kind,
            peer[key],
            peer.get("Description", ""),
        )
        for permission in permissions
        for kind, (listed, key) in SOURCES.items()
        for peer in permission.get(listed, [])
    }


def _rules(permissions: set[Permission], own: str) -> list[Props]:
    """Rules as outputs have them: those that differ in their peers alone are one."""
    together: dict[tuple[Any, ...], Props] = {}
    for one in sorted(permissions):
        rule = together.setdefault(
            (one.protocol, one.ports, one.description),
            {
                "protocol": one.protocol,
                "fromPort": one.ports[0],
                "toPort": one.ports[1],
                "description": one.description,
                "self": False,
            },
        )
        if one.kind == "securityGroups" and one.peer == own:
            rule["self"] = True
        else:
            rule.setdefault(one.kind, []).append(one.peer)
    return list(together.values())


KINDS = (SecurityGroup(),)
