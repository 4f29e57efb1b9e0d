"""Routes of EC2: route tables, and the subnets that use them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.providers.aws.api import Api
from tests.providers.aws.ec2_kind import Ec2Kind
from tests.providers.aws.kind import made
from tests.providers.base import Made, Props

DESTINATIONS = {"cidrBlock": "DestinationCidrBlock", "ipv6CidrBlock": "DestinationIpv6CidrBlock"}
TARGETS = {
    "gatewayId": "GatewayId",
    "natGatewayId": "NatGatewayId",
    "networkInterfaceId": "NetworkInterfaceId",
    "vpcPeeringConnectionId": "VpcPeeringConnectionId",
    "transitGatewayId": "TransitGatewayId",
    "egressOnlyGatewayId": "EgressOnlyInternetGatewayId",
}
Route = tuple[str, str, str, str]
"""Destination parameter and value, target parameter and value."""


class RouteTable(Ec2Kind):
    token = "aws:ec2/routeTable:RouteTable"
    noun = "route-table"
    gone = frozenset({"InvalidRouteTableID.NotFound", "InvalidRoute.NotFound"})
    inputs = frozenset({"vpcId", "routes", "region", "tags"})
    outputs = frozenset({"arn", "ownerId", "tagsAll", "routes"})
    volatile = frozenset({"tagsAll", "routes"})
    immutable = frozenset({"vpcId", "region"})

    def check(self, inputs: Props) -> Iterator[tuple[str, str]]:
        for route in inputs.get("routes", []):
            if isinstance(route, dict):
                said = {key for key, value in route.items() if value not in (None, "")}
                targets = said & TARGETS.keys()
                if said - DESTINATIONS.keys() - TARGETS.keys() or len(targets) != 1:
                    known = ", ".join([*DESTINATIONS, *TARGETS])
                    yield "routes", f"a route has a destination and a target out of {known}"

    def equal(self, path: str, old: Any, new: Any) -> bool:
        """Routes have no order."""
        if path == "routes" and isinstance(old, list) and isinstance(new, list):
            return _flat(old) == _flat(new)
        return super().equal(path, old, new)

    def create(self, api: Api, inputs: Props) -> Made:
        client = self.client(api, inputs)
        id_ = client.create_route_table(
            VpcId=inputs["vpcId"], TagSpecifications=self.tagging(api, inputs)
        )["RouteTable"]["RouteTableId"]
        with made(id_, {"region": client.meta.region_name}):
            self._route(api, id_, set(), inputs)
            return Made(id_, self.read(api, id_, inputs) or {})

    def read(self, api: Api, id_: str, state: Props) -> Props | None:
        found = self.described(api, state, "describe_route_tables", RouteTableIds=[id_])
        if found is None:
            return None
        return {
            **self.common(api, id_, state, found),
            "vpcId": found["VpcId"],
            "routes": [
                {
                    name: route[parameter]
                    for name, parameter in {**DESTINATIONS, **TARGETS}.items()
                    if route.get(parameter)
                }
                for route in found["Routes"]
                # The route of the VPC itself is in every table and cannot be changed.
                if route.get("GatewayId") != "local"
            ],
        }

    def update(self, api: Api, id_: str, old: Props, new: Props) -> Props:
        now = self.read(api, id_, old) or old
        if "routes" in new:  # else they are somebody else's: single routes
            self._route(api, id_, _flat(now.get("routes", [])), new)
        changed = self.retag(api, id_, now, new)
        return {"routes": (self.read(api, id_, new) or {}).get("routes", []), **changed}

    def delete(self, api: Api, id_: str, state: Props) -> None:
        now = self.described(api, state, "describe_route_tables", RouteTableIds=[id_])
        for association in (now or {}).get("Associations", []):
            RouteTableAssociation().delete(api, association["RouteTableAssociationId"], state)
        self.removed(api, state, "delete_route_table", RouteTableId=id_)

    def _route(self, api: Api, id_: str, old: set[Route], inputs: Props) -> None:
        client, new = self.client(api, inputs), _flat(inputs.get("routes", []))
        for kind, destination, _, _ in sorted(old - new):
            self.removed(api, inputs, "delete_route", RouteTableId=id_, **{kind: destination})
        for kind, destination, parameter, target in sorted(new - old):
            where = {kind: destination, parameter: target}
            client.create_route(RouteTableId=id_, **where)


class RouteTableAssociation(Ec2Kind):
    token = "aws:ec2/routeTableAssociation:RouteTableAssociation"
    noun = "route-table-association"
    gone = frozenset({"InvalidAssociationID.NotFound"})
    inputs = frozenset({"subnetId", "routeTableId", "region"})
    volatile = frozenset()
    immutable = inputs
    delete_first = True  # a subnet uses one table at a time

    def create(self, api: Api, inputs: Props) -> Made:
        answer = self.client(api, inputs).associate_route_table(
            SubnetId=inputs["subnetId"], RouteTableId=inputs["routeTableId"]
        )
        return Made(answer["AssociationId"], {"region": inputs.get("region") or api.region})

    def read(self, api: Api, id_: str, state: Props) -> Props | None:
        filters = [
            {"Name": "association.route-table-association-id", "Values": [id_]},
        ]
        tables = self.client(api, state).describe_route_tables(Filters=filters)["RouteTables"]
        for association in (a for table in tables for a in table["Associations"]):
            if association["RouteTableAssociationId"] == id_:
                return {
                    "subnetId": association.get("SubnetId", ""),
                    "routeTableId": association["RouteTableId"],
                    "region": state.get("region") or api.region,
                }
        return None

    def delete(self, api: Api, id_: str, state: Props) -> None:
        self.removed(api, state, "disassociate_route_table", AssociationId=id_)


def _flat(routes: list[Props]) -> set[Route]:
    return {
        (DESTINATIONS[destination], route[destination], TARGETS[target], route[target])
        for route in routes
        for destination in DESTINATIONS
        for target in TARGETS
        if route.get(destination) and route.get(target)
    }


KINDS = (RouteTable(), RouteTableAssociation())
