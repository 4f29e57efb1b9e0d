"""Networks of EC2: VPCs, subnets, internet gateways, route tables and their associations."""

from __future__ import annotations

from typing import ClassVar

from tests.providers.aws.api import Api
from tests.providers.aws.ec2_kind import Ec2Kind
from tests.providers.aws.kind import made
from tests.providers.base import Made, Props

DNS = {"enableDnsSupport": "EnableDnsSupport", "enableDnsHostnames": "EnableDnsHostnames"}


class Vpc(Ec2Kind):
    token = "aws:ec2/vpc:Vpc"
    noun = "vpc"
    gone = frozenset({"InvalidVpcID.NotFound"})
    inputs = frozenset({"cidrBlock", *DNS, "instanceTenancy", "region", "tags"})
    outputs = frozenset(
        {
            *("arn", "ownerId", "tagsAll", "dhcpOptionsId", "mainRouteTableId"),
            *("defaultNetworkAclId", "defaultRouteTableId", "defaultSecurityGroupId"),
            *("enableDnsSupport", "enableDnsHostnames", "instanceTenancy"),
        }
    )
    immutable = frozenset({"cidrBlock", "instanceTenancy", "region"})
    defaults: ClassVar = {
        "enableDnsSupport": True,
        "enableDnsHostnames": False,
        "instanceTenancy": "default",
    }

    def create(self, api: Api, inputs: Props) -> Made:
        client = self.client(api, inputs)
        id_ = client.create_vpc(
            CidrBlock=inputs["cidrBlock"],
            InstanceTenancy=inputs["instanceTenancy"],
            TagSpecifications=self.tagging(api, inputs),
        )["Vpc"]["VpcId"]
        with made(id_, {"region": client.meta.region_name}):
            client.get_waiter("vpc_available").wait(VpcIds=[id_])
            self._dns(api, id_, {"enableDnsSupport": True, "enableDnsHostnames": False}, inputs)
            return Made(id_, self.read(api, id_, inputs) or {})

    def read(self, api: Api, id_: str, state: Props) -> Props | None:
        found = self.described(api, state, "describe_vpcs", VpcIds=[id_])
        if found is None:
            return None
        client = self.client(api, state)
        mine = {"Name": "vpc-id", "Values": [id_]}

        def attribute(name: str) -> bool:
            key = name[0].upper() + name[1:]
            answer = client.describe_vpc_attribute(VpcId=id_, Attribute=name)
            return bool(answer[key]["Value"])

        def first(operation: str, key: str, name: str, value: str) -> str:
            filters = [mine, {"Name": name, "Values": [value]}]
            answer = getattr(client, operation)(Filters=filters)
            things: list[Props] = next(v for v in answer.values() if isinstance(v, list))
            return str(things[0][key]) if things else ""

        table = first("describe_route_tables", "RouteTableId", "association.main", "true")
        return {
            **self.common(api, id_, state, found),
            "cidrBlock": found["CidrBlock"],
            "instanceTenancy": found["InstanceTenancy"],
            "dhcpOptionsId": found["DhcpOptionsId"],
            **{name: attribute(name) for name in DNS},
            "mainRouteTableId": table,
            "defaultRouteTableId": table,
            "defaultNetworkAclId": first(
                "describe_network_acls", "NetworkAclId", "default", "true"
            ),
            "defaultSecurityGroupId": first(
                "describe_security_groups", "GroupId", "group-name", "default"
            ),
        }

    def update(self, api: Api, id_: str, old: Props, new: Props) -> Props:
        now = self.read(api, id_, old) or old
        self._dns(api, id_, now, new)
        return {**{name: new[name] for name in DNS}, **self.retag(api, id_, now, new)}

    def delete(self, api: Api, id_: str, state: Props) -> None:
        self.removed(api, state, "delete_vpc", VpcId=id_)

    def _dns(self, api: Api, id_: str, old: Props, new: Props) -> None:
        for name, parameter in DNS.items():
            if old.get(name) != new[name]:
                change = {parameter: {"Value": new[name]}}
                self.client(api, new).modify_vpc_attribute(VpcId=id_, **change)


class Subnet(Ec2Kind):
    token = "aws:ec2/subnet:Subnet"
    noun = "subnet"
    gone = frozenset({"InvalidSubnetID.NotFound"})
    inputs = frozenset(
        {"vpcId", "cidrBlock", "availabilityZone", "mapPublicIpOnLaunch", "region", "tags"}
    )
    outputs = frozenset(
        {"arn", "ownerId", "tagsAll", "availabilityZone", "availabilityZoneId"}
        | {"mapPublicIpOnLaunch"}
    )
    immutable = frozenset({"vpcId", "cidrBlock", "availabilityZone", "region"})
    defaults: ClassVar = {"mapPublicIpOnLaunch": False}

    def create(self, api: Api, inputs: Props) -> Made:
        client = self.client(api, inputs)
        zone = inputs.get("availabilityZone")
        id_ = client.create_subnet(
            VpcId=inputs["vpcId"],
            CidrBlock=inputs["cidrBlock"],
            TagSpecifications=self.tagging(api, inputs),
            **({"AvailabilityZone": zone} if zone else {}),
        )["Subnet"]["SubnetId"]
        with made(id_, {"region": client.meta.region_name}):
            client.get_waiter("subnet_available").wait(SubnetIds=[id_])
            self._map(api, id_, {"mapPublicIpOnLaunch": False}, inputs)
            return Made(id_, self.read(api, id_, inputs) or {})

    def read(self, api: Api, id_: str, state: Props) -> Props | None:
        found = self.described(api, state, "describe_subnets", SubnetIds=[id_])
        if found is None:
            return None
        return {
            **self.common(api, id_, state, found),
            "vpcId": found["VpcId"],
            "cidrBlock": found["CidrBlock"],
            "availabilityZone": found["AvailabilityZone"],
            "availabilityZoneId": found["AvailabilityZoneId"],
            "mapPublicIpOnLaunch": found["MapPublicIpOnLaunch"],
        }

    def update(self, api: Api, id_: str, old: Props, new: Props) -> Props:
        now = self.read(api, id_, old) or old
        self._map(api, id_, now, new)
        on_launch = {"mapPublicIpOnLaunch": new["mapPublicIpOnLaunch"]}
        return {**on_launch, **self.retag(api, id_, now, new)}

    def delete(self, api: Api, id_: str, state: Props) -> None:
        self.removed(api, state, "delete_subnet", SubnetId=id_)

    def _map(self, api: Api, id_: str, old: Props, new: Props) -> None:
        if old.get("mapPublicIpOnLaunch") != new["mapPublicIpOnLaunch"]:
            change = {"MapPublicIpOnLaunch": {"Value": new["mapPublicIpOnLaunch"]}}
            self.client(api, new).modify_subnet_attribute(SubnetId=id_, **change)


class InternetGateway(Ec2Kind):
    token = "aws:ec2/internetGateway:InternetGateway"
    noun = "internet-gateway"
    gone = frozenset({"InvalidInternetGatewayID.NotFound"})
    inputs = frozenset({"vpcId", "region", "tags"})
    outputs = frozenset({"arn", "ownerId", "tagsAll", "vpcId"})
    immutable = frozenset({"region"})

    def create(self, api: Api, inputs: Props) -> Made:
        client = self.client(api, inputs)
        answer = client.create_internet_gateway(TagSpecifications=self.tagging(api, inputs))
        id_ = answer["InternetGateway"]["InternetGatewayId"]
        with made(id_, {"region": client.meta.region_name}):
            self._attach(api, id_, "", inputs.get("vpcId", ""), inputs)
            return Made(id_, self.read(api, id_, inputs) or {})

    def read(self, api: Api, id_: str, state: Props) -> Props | None:
        found = self.described(api, state, "describe_internet_gateways", InternetGatewayIds=[id_])
        if found is None:
            return None
        vpcs = [attached["VpcId"] for attached in found.get("Attachments", [])]
        return {**self.common(api, id_, state, found), "vpcId": vpcs[0] if vpcs else ""}

    def update(self, api: Api, id_: str, old: Props, new: Props) -> Props:
        now = self.read(api, id_, old) or old
        self._attach(api, id_, now.get("vpcId", ""), new.get("vpcId", ""), new)
        return {"vpcId": new.get("vpcId", ""), **self.retag(api, id_, now, new)}

    def delete(self, api: Api, id_: str, state: Props) -> None:
        now = self.read(api, id_, state)
        if now is not None:
            self._attach(api, id_, now["vpcId"], "", state)
            self.removed(api, state, "delete_internet_gateway", InternetGatewayId=id_)

    def _attach(self, api: Api, id_: str, old: str, new: str, props: Props) -> None:
        client = self.client(api, props)
        if old and old != new:
            self.removed(api, props, "detach_internet_gateway", InternetGatewayId=id_, VpcId=old)
        if new and new != old:
            client.attach_internet_gateway(InternetGatewayId=id_, VpcId=new)


KINDS = (Vpc(), Subnet(), InternetGateway())
