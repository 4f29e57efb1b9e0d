"""examples/regions.py with the real engine: parts that had completed are undone with the whole."""

from __future__ import annotations

import pytest

from tests.examples.conftest import Place

pytestmark = pytest.mark.lives


@pytest.mark.timeout(600)
def test_regions_that_had_completed_are_undone_with_the_whole(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIL", "1")
    assert place.python("regions.py").returncode == 1
    failed = place.alma("status --unfold")
    assert failed["state"] == "COMPENSATED"
    assert [step["undone"] for step in failed["steps"]] == ["destroyed", "undone", "called"]
    parts = {part["name"]: part for part in failed["within"]}
    assert {part["state"] for part in parts.values()} == {"COMPENSATED"}
    assert parts["regions[eu]"]["parent"] == {
        "run": failed["run"],
        "step": "regions",
        "item": "eu",
    }
    assert place.left() == []
    assert place.held() == {}
    graph = place.alma("graph --unfold", "regions.py")
    names = [node["name"] for node in graph["nodes"]]
    assert names == [
        "database",
        "regions[eu].servers",
        "regions[us].servers",
        "regions",
        "directory",
    ]
