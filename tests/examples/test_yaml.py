"""The saga in YAML, over the stacks of this machine."""

from __future__ import annotations

import json

import pytest

from stacks.local import names, web
from tests.examples.conftest import Place, alive

pytestmark = pytest.mark.lives

EXAMPLE = "yaml/three_tier.yaml"


def test_three_tier_goes_up_from_yaml_and_down_again(place: Place) -> None:
    """The page of the balancer, its record, and nothing that is left."""
    up = place.alma("up", EXAMPLE)
    outputs = up["outputs"]
    url = outputs["balancer"]["url"]
    page = json.loads(web.request("GET", url)[2])
    assert page["greeting"] == "Hello from the database of three-tier"
    assert names.lookup(outputs["names"]["url"], "www") == url
    assert outputs["database"]["password"] == "[secret]"
    assert up["parameters"]["servers"] == 2
    pids = [*outputs["servers"]["pids"], outputs["balancer"]["pid"], outputs["names"]["pid"]]
    assert sorted(alive(pids)) == sorted(pids)
    down = place.alma("destroy", EXAMPLE)
    assert down["state"] == "COMPLETED", down["error"]
    assert alive(pids) == []
    assert set(place.held().values()) == {0}
