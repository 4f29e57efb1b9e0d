"""Drift of a module: by a plan that only refreshes, and the document of such a plan."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import UNSET

from alma.core.drift import MASK
from alma.runner.drift import drift
from alma.steps.terraform.drift import drifted
from tests.steps.conftest import CANARY, Place
from tests.steps.modules import module, saga_of


@pytest.mark.usefixtures("terraform_cli")
async def test_a_module_is_asked_without_a_lock_and_left_as_it_is(place: Place) -> None:
    """Its variables come from the journal; an emptied state is no answer."""
    module(place.root / "module")
    saga = saga_of(place, "a")
    await saga.execute()
    state = place.root / "module" / "terraform.tfstate"
    before = state.read_bytes(), sorted((place.root / "module").iterdir())
    found = await drift(saga)
    assert [step.verdict for step in found.steps] == ["none"], found.steps
    assert (state.read_bytes(), sorted((place.root / "module").iterdir())) == before
    assert place.holding(CANARY) == []
    kept = json.loads(state.read_text())
    emptied = {"resources": [], "outputs": {}, "serial": kept["serial"] + 1}
    state.write_text(json.dumps(kept | emptied))
    found = await drift(saga)
    assert [one.op for one in found.steps[0].drift.resources] == ["missing"]
    (place.root / "module" / "main.tf").write_text("no terraform at all")
    state.write_bytes(before[0])
    found = await drift(saga)
    assert (found.steps[0].verdict, found.exit_code) == ("unknown", 1)


def test_what_a_plan_says_is_told_by_property_and_what_is_sensitive_is_not() -> None:
    """As Terraform 1.9 has written it, without what nobody reads here."""
    before = {"id": "i-1", "tags": {"a": "1"}, "list": [1, {"key": "old"}], "key": "hush"}
    after = {"id": "i-1", "tags": {"a": "1", "b": "2"}, "list": [1, {"key": "new"}], "key": "x"}
    sensitive = {"key": True, "list": [False, {"key": True}], "tags": {}}
    common = {"mode": "managed", "type": "aws_instance"}

    def one(address: str, actions: list[str], **change: Any) -> dict[str, Any]:
        return {**common, "address": address, "change": {"actions": actions, **change}}

    marks = {"before_sensitive": sensitive, "after_sensitive": {}}
    document = {
        "resource_drift": [
            one("aws_instance.a", ["update"], before=before, after=after, **marks),
            one("aws_instance.b", ["delete"], before={"id": "i-2"}, after=None),
            one("aws_instance.c", ["no-op"], before={}, after={}),
            one("data.aws_ami.d", ["update"], before={}, after={"x": 1}) | {"mode": "data"},
        ]
    }
    changed, deleted = drifted(document)
    assert {each.path: (each.was, each.now) for each in changed.properties} == {
        "tags.b": (UNSET, "2"),
        "list[1].key": (MASK, MASK),
        "key": (MASK, MASK),
    }
    assert (deleted.urn, deleted.op, deleted.id) == ("aws_instance.b", "delete", "i-2")
