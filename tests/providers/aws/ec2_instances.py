"""Instances of EC2."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any, ClassVar

from tests.providers.aws.api import Api
from tests.providers.aws.ec2_kind import Ec2Kind
from tests.providers.aws.kind import made
from tests.providers.aws.waiting import WAITER, persist
from tests.providers.base import Made, Props

METADATA = {
    "httpEndpoint": "HttpEndpoint",
    "httpTokens": "HttpTokens",
    "httpPutResponseHopLimit": "HttpPutResponseHopLimit",
    "instanceMetadataTags": "InstanceMetadataTags",
}


class Instance(Ec2Kind):
    token = "aws:ec2/instance:Instance"
    noun = "instance"
    gone = frozenset({"InvalidInstanceID.NotFound"})
    inputs = frozenset(
        {
            *("ami", "instanceType", "subnetId", "vpcSecurityGroupIds", "iamInstanceProfile"),
            *("metadataOptions", "userData", "userDataReplaceOnChange", "keyName"),
            *("availabilityZone", "region", "tags"),
        }
    )
    outputs = frozenset(
        {
            *("arn", "tagsAll", "instanceState", "privateIp", "privateDns", "publicIp"),
            *("publicDns", "primaryNetworkInterfaceId", "availabilityZone", "subnetId"),
            *("vpcSecurityGroupIds", "metadataOptions"),
        }
    )
    # An instance that was stopped to be changed comes back with other public addresses.
    volatile = frozenset({"tagsAll", "publicIp", "publicDns", "metadataOptions"})
    immutable = frozenset({"ami", "subnetId", "availabilityZone", "keyName", "userData", "region"})
    defaults: ClassVar = {"userDataReplaceOnChange": False}

    def check(self, inputs: Props) -> Iterator[tuple[str, str]]:
        if inputs.get("userData") and not inputs.get("userDataReplaceOnChange"):
            reason = "the stand-in knows user data only with userDataReplaceOnChange"
            yield "userData", reason
        unknown = inputs.get("metadataOptions", {}).keys() - METADATA.keys()
        if unknown:
            yield "metadataOptions", f"the stand-in does not know {', '.join(sorted(unknown))}"

    def equal(self, path: str, old: Any, new: Any) -> bool:
        """Groups have no order; EC2 decides on metadata options that are not given."""
        if path == "vpcSecurityGroupIds" and isinstance(old, list) and isinstance(new, list):
            return sorted(old) == sorted(new)
        if path == "metadataOptions" and isinstance(old, dict) and isinstance(new, dict):
            return all(old.get(name) == value for name, value in new.items())
        return super().equal(path, old, new)

    def create(self, api: Api, inputs: Props) -> Made:
        client = self.client(api, inputs)
        given: dict[str, Any] = {
            "InstanceType": inputs.get("instanceType"),
            "SubnetId": inputs.get("subnetId"),
            "SecurityGroupIds": inputs.get("vpcSecurityGroupIds"),
            "KeyName": inputs.get("keyName"),
            "UserData": inputs.get("userData"),
            "MetadataOptions": _metadata(inputs),
        }
        if inputs.get("iamInstanceProfile"):
            given["IamInstanceProfile"] = {"Name": inputs["iamInstanceProfile"]}
        if inputs.get("availabilityZone"):
            given["Placement"] = {"AvailabilityZone": inputs["availabilityZone"]}
        started = persist(
            lambda: client.run_instances(
                ImageId=inputs["ami"],
                MinCount=1,
                MaxCount=1,
                TagSpecifications=self.tagging(api, inputs),
                **{key: value for key, value in given.items() if value},
            ),
            self._unknown_profile,
        )
        id_ = started["Instances"][0]["InstanceId"]
        with made(id_, {"region": client.meta.region_name}):
            self._wait(api, "running", id_, inputs)
            return Made(id_, self.read(api, id_, inputs) or {})

    def read(self, api: Api, id_: str, state: Props) -> Props | None:
        answer = self.described(api, state, "describe_instances", InstanceIds=[id_])
        if answer is None:
            return None
        found = answer["Instances"][0]
        if found["State"]["Name"] in ("shutting-down", "terminated"):
            return None
        client = self.client(api, state)
        options = found.get("MetadataOptions", {})
        profile = found.get("IamInstanceProfile", {}).get("Arn", "")
        interfaces = found.get("NetworkInterfaces") or [{}]
        wanted = {"InstanceId": id_, "Attribute": "userData"}
        data = client.describe_instance_attribute(**wanted).get("UserData", {}).get("Value", "")
        return {
            **self.common(api, id_, state, {**found, "OwnerId": answer["OwnerId"]}),
            "ami": found["ImageId"],
            "instanceType": found["InstanceType"],
            "instanceState": found["State"]["Name"],
            "subnetId": found.get("SubnetId", ""),
            "vpcSecurityGroupIds": sorted(one["GroupId"] for one in found["SecurityGroups"]),
            "iamInstanceProfile": profile.rpartition("/")[2],
            "keyName": found.get("KeyName", ""),
            "userData": base64.b64decode(data).decode(errors="replace"),
            "availabilityZone": found["Placement"]["AvailabilityZone"],
            "privateIp": found.get("PrivateIpAddress", ""),
            "privateDns": found.get("PrivateDnsName", ""),
            "publicIp": found.get("PublicIpAddress", ""),
            "publicDns": found.get("PublicDnsName", ""),
            "primaryNetworkInterfaceId": interfaces[0].get("NetworkInterfaceId", ""),
            "metadataOptions": {
                name: options[key] for name, key in METADATA.items() if key in options
            },
        }

    def update(self, api: Api, id_: str, old: Props, new: Props) -> Props:
        client, old = self.client(api, new), self.read(api, id_, old) or old
        groups = new.get("vpcSecurityGroupIds")
        if groups and sorted(groups) != sorted(old.get("vpcSecurityGroupIds") or []):
            client.modify_instance_attribute(InstanceId=id_, Groups=groups)
        if new.get("iamInstanceProfile", "") != (old.get("iamInstanceProfile") or ""):
            self._profile(api, id_, new)
        options = new.get("metadataOptions") or {}
        if any((old.get("metadataOptions") or {}).get(k) != v for k, v in options.items()):
            client.modify_instance_metadata_options(InstanceId=id_, **_metadata(new))
        kind = new.get("instanceType")
        if kind and kind != old.get("instanceType"):
            client.stop_instances(InstanceIds=[id_])
            self._wait(api, "stopped", id_, new)
            client.modify_instance_attribute(InstanceId=id_, InstanceType={"Value": kind})
            client.start_instances(InstanceIds=[id_])
            self._wait(api, "running", id_, new)
        self.retag(api, id_, old, new)
        return self.read(api, id_, new) or {}

    def delete(self, api: Api, id_: str, state: Props) -> None:
        try:
            self.client(api, state).terminate_instances(InstanceIds=[id_])
            self._wait(api, "terminated", id_, state)
        except Exception as error:
            if not self.is_gone(error):
                raise

    def _wait(self, api: Api, name: str, id_: str, props: Props) -> None:
        waiter = self.client(api, props).get_waiter(f"instance_{name}")
        try:
            waiter.wait(InstanceIds=[id_], WaiterConfig=WAITER)
        except Exception as error:
            # botocore's own error has the answer of the service inside.
            answer = getattr(error, "last_response", {}).get("Error", {}).get("Code", "")
            if name != "terminated" or answer not in self.gone:
                raise

    def _profile(self, api: Api, id_: str, new: Props) -> None:
        client, name = self.client(api, new), new.get("iamInstanceProfile")
        filters = [{"Name": "instance-id", "Values": [id_]}]
        found = client.describe_iam_instance_profile_associations(Filters=filters)
        for one in found["IamInstanceProfileAssociations"]:
            client.disassociate_iam_instance_profile(AssociationId=one["AssociationId"])
        if name:
            persist(
                lambda: client.associate_iam_instance_profile(
                    InstanceId=id_, IamInstanceProfile={"Name": name}
                ),
                self._unknown_profile,
            )

    def _unknown_profile(self, error: Exception) -> bool:
        """IAM tells EC2 of a new profile only after a while."""
        told = str(error)
        if "Invalid IAM Instance Profile" in told or "has no associated IAM Roles" in told:
            return self.code(error) == "InvalidParameterValue"
        return self.code(error) == "NoSuchEntity"


def _metadata(inputs: Props) -> dict[str, Any]:
    given = inputs.get("metadataOptions") or {}
    return {METADATA[name]: value for name, value in given.items()}


KINDS = (Instance(),)
