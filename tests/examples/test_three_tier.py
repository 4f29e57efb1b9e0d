from __future__ import annotations

import json

import pytest

from stacks.local import names, web
from tests.examples.conftest import Place, alive

pytestmark = pytest.mark.lives


def test_three_tier_serves_the_database_through_the_balancer_and_goes_again(place: Place) -> None:
    """As a script, then taken down by the command line: DNS, page, and nothing left."""
    ended = place.python("three_tier.py")
    assert ended.returncode == 0, ended.stderr
    status = place.alma("status")
    outputs = status["outputs"]
    url = outputs["balancer"]["url"]
    assert f"curl {url}" in ended.stdout
    page = json.loads(web.request("GET", url)[2])
    assert page["greeting"] == "Hello from the database of three-tier"
    assert names.lookup(outputs["names"]["url"], "www") == url
    assert outputs["database"]["password"] == "[secret]"

    pids = [*outputs["servers"]["pids"], outputs["balancer"]["pid"], outputs["names"]["pid"]]
    assert sorted(alive(pids)) == sorted(pids)
    for _ in range(2):  # the second destroy finds nothing, and that is a success too
        down = place.alma("destroy", "three_tier.py")
        assert down["state"] == "COMPLETED", down["error"]
    assert alive(pids) == []
    assert place.left() == []
    assert set(place.held().values()) == {0}


def test_three_tier_failing_undoes_everything_that_started(place: Place) -> None:
    """As a script it ends with 4; no process, no file, no resource and no record is left."""
    ended = place.python("three_tier_failing.py")
    assert ended.returncode == 4, ended.stderr
    assert "answers /nope with 200" in ended.stderr
    status = place.alma("status")
    assert status["state"] == "COMPENSATED"
    assert {step["name"]: step["state"] for step in status["steps"]} == {
        "names": "COMPENSATED",
        "database": "COMPENSATED",
        "servers": "COMPENSATED",
        "balancer": "COMPENSATED",
        "dns": "PENDING",
    }
    assert status["leftovers"] == []
    assert place.left() == []
    assert place.held() == {}
