# ruff: noqa: ARG002 - the methods' arguments are those of Kind
"""Hosted zones of Route 53, and their records."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any, ClassVar

from tests.providers.aws.api import Api
from tests.providers.aws.kind import AwsKind, by_key, made, pairs
from tests.providers.aws.waiting import until
from tests.providers.base import Made, Props

QUOTED = ("TXT", "SPF")
"""Types whose values stand in quotes at the service, and without them in a program."""
ITS_OWN = ("NS", "SOA")
"""Types that every zone has at its top and that go with it."""


class Route53Kind(AwsKind):
    """A resource of Route 53, which is in no region."""

    service = "route53"
    gone = frozenset({"NoSuchHostedZone"})

    def synced(self, api: Api, change: Props) -> None:
        """Wait until all name servers have the change."""
        client, id_ = api.client("route53"), change["ChangeInfo"]["Id"]
        if change["ChangeInfo"]["Status"] != "INSYNC":
            until(
                f"Route 53 has not spread {id_}",
                lambda: client.get_change(Id=id_)["ChangeInfo"]["Status"] == "INSYNC",
            )

    def sets(self, api: Api, zone_id: str) -> Iterator[Props]:
        """The record sets of a zone. Raises for a zone that is gone."""
        pages = api.client("route53").get_paginator("list_resource_record_sets")
        for page in pages.paginate(HostedZoneId=zone_id):
            yield from page["ResourceRecordSets"]

    def change(self, api: Api, zone_id: str, action: str, records: Props) -> None:
        """Create, upsert or delete one record set."""
        batch = {"Changes": [{"Action": action, "ResourceRecordSet": records}]}
        client = api.client("route53")
        self.synced(
            api, client.change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch=batch)
        )


class Zone(Route53Kind):
    token = "aws:route53/zone:Zone"
    inputs = frozenset({"name", "comment", "forceDestroy", "vpcs", "tags"})
    outputs = frozenset({"arn", "nameServers", "primaryNameServer", "zoneId", "tagsAll"})
    volatile = frozenset({"tagsAll"})
    immutable = frozenset({"name"})
    defaults: ClassVar = {"comment": "Managed by Pulumi", "forceDestroy": False}

    def equal(self, path: str, old: Any, new: Any) -> bool:
        """A dot at the end of a name says nothing; VPCs have no order."""
        if path == "name":
            return _bare(str(old)) == _bare(str(new))
        if path == "vpcs" and isinstance(old, list) and isinstance(new, list):
            return {one["vpcId"] for one in old} == {one["vpcId"] for one in new}
        return super().equal(path, old, new)

    def create(self, api: Api, inputs: Props) -> Made:
        client, vpcs = api.client("route53"), inputs.get("vpcs") or []
        answer = client.create_hosted_zone(
            Name=inputs["name"],
            CallerReference=uuid.uuid4().hex,
            HostedZoneConfig={"Comment": inputs["comment"], "PrivateZone": bool(vpcs)},
            **({"VPC": _vpc(api, vpcs[0])} if vpcs else {}),
        )
        id_ = answer["HostedZone"]["Id"].rpartition("/")[2]
        with made(id_, {"zoneId": id_}):
            self.synced(api, answer)
            for one in vpcs[1:]:
                vpc = _vpc(api, one)
                client.associate_vpc_with_hosted_zone(HostedZoneId=id_, VPC=vpc)
            self._retag(api, id_, {}, inputs)
            return Made(id_, self.read(api, id_, inputs) or {})

    def read(self, api: Api, id_: str, state: Props) -> Props | None:
        client = api.client("route53")
        try:
            answer = client.get_hosted_zone(Id=id_)
        except Exception as error:
            if self.is_gone(error):
                return None
            raise
        zone = answer["HostedZone"]
        which = {"ResourceType": "hostedzone", "ResourceId": id_}
        tags = by_key(client.list_tags_for_resource(**which)["ResourceTagSet"]["Tags"])
        servers = sorted(answer.get("DelegationSet", {}).get("NameServers", []))
        return {
            "arn": f"arn:aws:route53:::hostedzone/{id_}",
            "zoneId": id_,
            "name": _bare(zone["Name"]),
            "comment": zone["Config"].get("Comment", ""),
            "nameServers": servers,
            "primaryNameServer": servers[0] if servers else "",
            "vpcs": [
                {"vpcId": vpc["VPCId"], "vpcRegion": vpc["VPCRegion"]}
                for vpc in answer.get("VPCs", [])
            ],
            "forceDestroy": bool(state.get("forceDestroy")),
            **api.own_tags(tags, state),
        }

    def update(self, api: Api, id_: str, old: Props, new: Props) -> Props:
        client, now = api.client("route53"), self.read(api, id_, old) or old
        if now.get("comment") != new["comment"]:
            client.update_hosted_zone_comment(Id=id_, Comment=new["comment"])
        before, after = (
            {vpc["vpcId"]: _vpc(api, vpc) for vpc in props.get("vpcs") or []}
            for props in (now, new)
        )
        # A private zone must never be without a VPC, so first what comes.
        for vpc_id in after.keys() - before.keys():
            client.associate_vpc_with_hosted_zone(HostedZoneId=id_, VPC=after[vpc_id])
        for vpc_id in before.keys() - after.keys():
            client.disassociate_vpc_from_hosted_zone(HostedZoneId=id_, VPC=before[vpc_id])
        return self._retag(api, id_, now, new)

    def delete(self, api: Api, id_: str, state: Props) -> None:
        try:
            if state.get("forceDestroy"):
                for one in list(self.sets(api, id_)):
                    if one["Type"] not in ITS_OWN or _bare(one["Name"]) != _bare(state["name"]):
                        self.change(api, id_, "DELETE", one)
            self.synced(api, api.client("route53").delete_hosted_zone(Id=id_))
        except Exception as error:
            if not self.is_gone(error):
                raise

    def _retag(self, api: Api, id_: str, old: Props, new: Props) -> Props:
        before, after = old.get("tagsAll") or {}, api.tags(new)
        dropped = sorted(before.keys() - after.keys())
        if before != after:
            api.client("route53").change_tags_for_resource(
                ResourceType="hostedzone",
                ResourceId=id_,
                **({"AddTags": pairs(after)} if after else {}),
                **({"RemoveTagKeys": dropped} if dropped else {}),
            )
        return {"tagsAll": after}


class Record(Route53Kind):
    token = "aws:route53/record:Record"
    inputs = frozenset({"name", "type", "zoneId", "records", "ttl", "allowOverwrite"})
    outputs = frozenset({"fqdn"})
    immutable = frozenset({"name", "type", "zoneId"})
    defaults: ClassVar = {"allowOverwrite": False}

    def check(self, inputs: Props) -> Iterator[tuple[str, str]]:
        for key in ("records", "ttl"):
            if key not in inputs:
                yield key, "the stand-in knows records with values and a TTL alone"

    def equal(self, path: str, old: Any, new: Any) -> bool:
        """A dot at the end of a name says nothing, nor does its case; values have no order."""
        if path == "name":
            return _bare(str(old)) == _bare(str(new))
        if path == "records" and isinstance(old, list) and isinstance(new, list):
            return sorted(old) == sorted(new)
        return super().equal(path, old, new)

    def create(self, api: Api, inputs: Props) -> Made:
        zone, name = inputs["zoneId"], self._full(api, inputs)
        action = "UPSERT" if inputs["allowOverwrite"] else "CREATE"
        self.change(api, zone, action, _set(name, inputs))
        return Made(f"{zone}_{name}_{inputs['type']}", {"fqdn": name, "allowOverwrite": False})

    def read(self, api: Api, id_: str, state: Props) -> Props | None:
        zone, name, kind = id_.split("_", 1)[0], *id_.split("_", 1)[1].rsplit("_", 1)
        found = self._find(api, zone, name, kind)
        if found is None:
            return None
        values = [one["Value"] for one in found.get("ResourceRecords", [])]
        return {
            "zoneId": zone,
            "name": state.get("name") or name,
            "type": kind,
            "fqdn": name,
            "ttl": found.get("TTL"),
            "records": [value.strip('"') if kind in QUOTED else value for value in values],
            "allowOverwrite": bool(state.get("allowOverwrite")),
        }

    def update(self, api: Api, id_: str, old: Props, new: Props) -> Props:
        self.change(api, new["zoneId"], "UPSERT", _set(old["fqdn"], new))
        return {}

    def delete(self, api: Api, id_: str, state: Props) -> None:
        zone, name, kind = id_.split("_", 1)[0], *id_.split("_", 1)[1].rsplit("_", 1)
        found = self._find(api, zone, name, kind)
        try:
            if found is not None:
                self.change(api, zone, "DELETE", found)
        except Exception as error:
            if not self.is_gone(error) and self._find(api, zone, name, kind) is not None:
                raise

    def _full(self, api: Api, inputs: Props) -> str:
        """The name within its zone, as the real provider makes it of a short one."""
        name = _bare(inputs["name"])
        answer = api.client("route53").get_hosted_zone(Id=inputs["zoneId"])
        zone = _bare(answer["HostedZone"]["Name"])
        inside = name == zone or name.endswith(f".{zone}")
        return name if inside else f"{name}.{zone}".lstrip(".")

    def _find(self, api: Api, zone: str, name: str, kind: str) -> Props | None:
        try:
            for one in self.sets(api, zone):
                if _bare(one["Name"]) == _bare(name) and one["Type"] == kind:
                    return one
        except Exception as error:
            if not self.is_gone(error):
                raise
        return None


def _bare(name: str) -> str:
    # The service writes an asterisk as an octal escape.
    return name.rstrip(".").lower().replace("\\052", "*")


def _vpc(api: Api, given: Props) -> dict[str, str]:
    return {"VPCId": given["vpcId"], "VPCRegion": given.get("vpcRegion") or api.region}


def _set(name: str, inputs: Props) -> Props:
    quoted = inputs["type"] in QUOTED
    values = [f'"{value}"' if quoted else value for value in inputs["records"]]
    return {
        "Name": name,
        "Type": inputs["type"],
        "TTL": inputs["ttl"],
        "ResourceRecords": [{"Value": value} for value in values],
    }


KINDS = (Zone(), Record())
