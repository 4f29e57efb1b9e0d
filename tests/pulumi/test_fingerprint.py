"""What counts as a change of a stack, and what does not."""

from __future__ import annotations

import copy
from typing import Any

from alma.pulumi.checkpoint import parse

URN = "urn:pulumi:dev::shop::cloud:index:{}::{}"
NETWORK, GATEWAY = URN.format("Network", "net"), URN.format("Gateway", "gate")
DEPLOYMENT: dict[str, Any] = {
    "resources": [
        {"urn": NETWORK, "type": "cloud:index:Network", "id": "net-1", "inputs": {"zones": ["a"]}},
        {"urn": GATEWAY, "type": "cloud:index:Gateway", "id": "gate-1", "inputs": {}},
        {
            "urn": URN.format("Table", "routes"),
            "type": "cloud:index:Table",
            "id": "table-1",
            "inputs": {"routes": ["first", "second"]},
            "dependencies": [NETWORK, GATEWAY],
            "propertyDependencies": {"routes": [NETWORK, GATEWAY], "name": None},
        },
    ]
}


def changed(**fields: Any) -> str:
    """The fingerprint when the table has these fields."""
    deployment = copy.deepcopy(DEPLOYMENT)
    deployment["resources"][2].update(fields)
    return parse(deployment, version=3).fingerprint


def test_the_order_of_dependencies_is_no_change() -> None:
    """Pulumi's Python SDK hands them on out of sets, in another order in each process."""
    same = changed()
    assert changed(dependencies=[GATEWAY, NETWORK]) == same
    both = {"routes": [GATEWAY, NETWORK], "name": []}
    assert changed(propertyDependencies=both) == same
    deployment = {"resources": DEPLOYMENT["resources"][::-1]}
    assert parse(deployment, version=3).fingerprint == same


def test_what_a_resource_is_made_of_counts_with_its_order() -> None:
    same = changed()
    assert changed(inputs={"routes": ["second", "first"]}) != same
    assert changed(dependencies=[NETWORK]) != same
    assert changed(propertyDependencies={"routes": [NETWORK]}) != same
    assert changed(id="table-2") != same
