"""A stack that was there before, whatever it holds, is put back and never destroyed."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pulumi
import pytest
from pulumi import ResourceOptions
from pulumi.dynamic import CreateResult, Resource, ResourceProvider

from alma import Saga, SagaState
from alma.core.result import Result
from alma.pulumi.restore.compare import compare
from alma.runner import up
from tests.restore.conftest import Lab
from tests.restore.things import Group, Provider, Thing
from tests.runner.helpers import ended

pytestmark = pytest.mark.lives

Program = Callable[[], Any]


def refuses() -> None:
    """The step after."""
    raise ValueError("no")


async def changed_and_undone(before: Program, after: Program) -> Result:
    """Bring it up; then change it, in a run whose next step fails."""
    first = Saga("held")
    first.add_stack("kept", program=before)
    assert (await ended(up(first))).state is SagaState.COMPLETED
    second = Saga("held")
    second.add_stack("kept", program=after)
    second.add_step(name="later", action=refuses, compensation="none")
    return await ended(up(second))


def only_outputs() -> None:
    """No resource at all."""
    pulumi.export("region", "one")


def only_a_component() -> None:
    """Nothing outside."""
    Group("g")


def only_a_provider() -> None:
    """Nothing that it has made."""
    Provider("p")


@pytest.mark.parametrize("kind", ["outputs", "a component", "a provider"])
@pytest.mark.parametrize("more", [False, True])
async def test_what_was_there_before_is_put_back(lab: Lab, kind: str, more: bool) -> None:
    """Also where the update adds a resource: that goes, the rest stays."""
    before = {
        "outputs": only_outputs,
        "a component": only_a_component,
        "a provider": only_a_provider,
    }[kind]

    def after() -> None:
        pulumi.export("region", "two")
        if more:
            Thing("extra")

    ref = lab.place.ref("dev", "held-kept")
    result = await changed_and_undone(before, after)
    assert result.state is SagaState.COMPENSATED, result.leftovers
    assert result.status.steps["kept"].how == "restored"
    now = await lab.place.engine.inspect(ref)
    assert now.exists
    assert now.outputs == ({"region": "one"} if kind == "outputs" else {})
    assert {one.urn.split("::")[2].split(":")[0] for one in now.resources} == (
        {"outputs": set(), "a component": {"test"}, "a provider": {"pulumi"}}[kind]
    )
    assert lab.things() == {}


async def test_what_is_only_read_stays_read(lab: Lab) -> None:
    """Somebody else's resource: the stack held nothing but a look at it."""

    def before() -> None:
        Thing("theirs", ResourceOptions(id="theirs-1"))

    def after() -> None:
        before()
        Thing("extra")

    (lab.world / "theirs-1").write_text('{"inputs": {"size": 7}}')
    result = await changed_and_undone(before, after)
    assert result.state is SagaState.COMPENSATED, result.leftovers
    assert result.status.steps["kept"].how == "restored"
    assert list(lab.things()) == ["theirs-1"]
    now = await lab.place.engine.inspect(lab.place.ref("dev", "held-kept"))
    assert [one.id for one in now.resources if one.external] == ["theirs-1"]


class Tokens(ResourceProvider):
    """Tells its token once: it has no `update` of its own."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Make it."""
        return CreateResult("t-1", {"size": props["size"], "token": os.urandom(4).hex()})


class Token(Resource):
    """Of that provider."""

    def __init__(self, size: int) -> None:
        super().__init__(Tokens(), "t", {"size": size, "token": None})


async def test_an_output_that_the_update_lost_is_named(lab: Lab) -> None:  # noqa: ARG001 - a place
    """Nobody can tell it again: FAILED, and not "put back"."""
    result = await changed_and_undone(lambda: Token(1) and None, lambda: Token(2) and None)
    assert result.state is SagaState.FAILED
    assert ["output token (it is lost)" in left.reason for left in result.leftovers] == [True]


def hooked(size: int, *extra: str) -> Program:
    """A thing that is drained before it goes."""

    def run() -> None:
        hook = pulumi.ResourceHook("drain", lambda _args: None)
        hooks = pulumi.ResourceHookBinding(before_delete=[hook], after_create=[hook])
        Thing("queue", ResourceOptions(hooks=hooks), size=size)
        for name in extra:
            Thing(name, ResourceOptions(hooks=hooks))

    return run


async def hooks_of(lab: Lab) -> dict[str, Any]:
    """By name, of the stack's resources."""
    document = await lab.place.engine.export(lab.place.ref("dev", "held-kept"))
    assert document is not None
    entries = document["deployment"]["resources"]
    return {
        one["urn"].split("::")[-1]: one.get("resourceHooks") for one in entries if one["custom"]
    }


async def test_hooks_are_in_the_state_again(lab: Lab) -> None:
    """By their names: a later destroy needs its program as it did before."""
    result = await changed_and_undone(hooked(1), hooked(2))
    assert result.state is SagaState.COMPENSATED, result.leftovers
    hooks = (await hooks_of(lab))["queue"]
    assert sorted(hooks.values()) == [["drain"], ["drain"]]


async def test_what_a_hook_must_see_deleted_is_named(lab: Lab) -> None:
    """Its program would have drained it: the restore leaves it, and says why."""
    result = await changed_and_undone(hooked(1), hooked(2, "extra"))
    assert result.state is SagaState.FAILED
    (left,) = result.leftovers
    assert left.urn.endswith("::extra")
    assert "drain" in left.reason
    assert {name.partition("-")[0] for name in lab.things()} == {"queue", "extra"}


def deployment(**more: Any) -> dict[str, Any]:
    """A root and one resource."""
    urn = "urn:pulumi:dev::p::{}::{}"
    root = {"urn": urn.format("pulumi:pulumi:Stack", "p-dev"), "type": "pulumi:pulumi:Stack"}
    thing = {"urn": urn.format("t:i:T", "a"), "type": "t:i:T", "id": "1", "custom": True, **more}
    return {"resources": [root, thing]}


@pytest.mark.parametrize("field", ["resourceHooks", "taint", "importID", "somethingNewer"])
def test_a_field_of_an_entry_that_is_not_as_before_is_named(field: str) -> None:
    """Those that only a newer Pulumi knows, too."""
    found = compare(deployment(**{field: "x"}), deployment(), {})
    assert [one.reason for one in found.different] == [f"not as before: {field}"]


@pytest.mark.parametrize("field", ["snippets", "extensions"])
def test_a_field_of_the_stack_that_is_not_as_before_is_named(field: str) -> None:
    """Of the deployment itself."""
    found = compare({**deployment(), field: ["x"]}, deployment(), {})
    assert [one.reason for one in found.different] == [f"not as before: the {field} of the stack"]


def test_what_the_engine_adds_by_itself_is_missed() -> None:
    """A view of a resource, say: no program registers it, so no replay does."""
    wanted = deployment()
    wanted["resources"].append({**wanted["resources"][1], "urn": "view", "viewOf": "x"})
    found = compare(wanted, deployment(), {})
    assert [one.urn for one in found.different] == ["view"]


def test_when_and_where_a_resource_was_registered_is_no_difference() -> None:
    """A restore is another time and place."""
    fields = {"created": "x", "modified": "x", "sourcePosition": "x", "aliases": ["x"]}
    assert compare(deployment(**fields), deployment(), {}).different == []
