"""Features of a deployment, changed by an update and brought back, by the real engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pulumi
import pytest
from pulumi import Output, ResourceOptions

from tests.restore.conftest import Lab, differing
from tests.restore.things import Group, Sub, Thing

pytestmark = [pytest.mark.lives, pytest.mark.usefixtures("made_already")]

Program = Callable[[], Any]


async def same_again(
    lab: Lab,
    before: Program,
    after: Program,
    *,
    fails: bool = False,
    configs: tuple[dict[str, Any], dict[str, Any]] = ({}, {}),
) -> None:
    """Bring it up, change it, restore it: state, world, ids and preview are as they were."""
    first = await lab.up(before, config=configs[0])
    assert first.failure is None, first.failure
    await lab.keep()
    state, world = await lab.state(), lab.things()
    changed = await lab.up(after, config=configs[1])
    assert (changed.failure is not None) == fails, changed.failure
    assert await lab.state() != state
    restored = await lab.restore()
    assert restored.failure is None, (restored.failure, restored.different)
    assert restored.different == ()
    assert restored.recreated == ()
    assert differing(await lab.state(), state) == {}
    assert lab.things() == world
    seen = await lab.preview(before, configs[0])
    assert set(seen.changes) == {"same"}, seen


async def test_inputs_additions_secrets_and_outputs(lab: Lab) -> None:
    """One resource changed, one added, one failed."""

    def before() -> None:
        a = Thing("a", size=1, shape={"list": [1, {"deep": "x"}], "none": None, "float": 1.5})
        Thing("b", of=a.made, token=Output.secret("canary-1"), nested={"k": Output.secret([1])})
        pulumi.export("address", a.made)
        pulumi.export("secret", Output.secret({"k": "canary-2"}))
        pulumi.export("nested", {"list": [Output.secret("canary-3"), 2]})

    def after() -> None:
        a = Thing("a", size=2)
        Thing("c")
        Thing("b", of=a.made, token=Output.secret("canary-4"), fail="here")
        pulumi.export("other", 1)

    await same_again(lab, before, after, fails=True)


async def test_components_parents_and_their_outputs(lab: Lab) -> None:
    def program(size: int) -> Program:
        def run() -> None:
            group = Group("outer")
            inner = Group("inner", ResourceOptions(parent=group))
            a = Thing("a", ResourceOptions(parent=inner), size=size)
            Thing("child-of-a", ResourceOptions(parent=a), of=a.made)
            inner.register_outputs({"made": a.made, "size": size})
            group.register_outputs({})
            if size == 2:
                Thing("b", ResourceOptions(parent=Group("new", ResourceOptions(parent=group))))

        return run

    await same_again(lab, program(1), program(2))


async def test_options(lab: Lab) -> None:
    """protect, retainOnDelete, deletedWith, replaceOnChanges, timeouts, secret outputs, hidden."""

    def before() -> None:
        a = Thing("a", ResourceOptions(protect=True), size=1)
        Thing("b", ResourceOptions(retain_on_delete=True, deleted_with=a), size=1)
        Thing("c", ResourceOptions(replace_on_changes=["size"], hide_diffs=["size"]), size=1)
        timeouts = pulumi.CustomTimeouts(create="5m", update="1h", delete="90s")
        Thing("d", ResourceOptions(custom_timeouts=timeouts), size=1)
        Thing("e", ResourceOptions(additional_secret_outputs=["made"]), size=1)
        Thing("f", ResourceOptions(replacement_trigger="one", replace_with=[a]), size=1)

    def after() -> None:
        Thing("a", size=2)
        for name in "bcde":
            Thing(name, size=2)
        Thing("f", ResourceOptions(replacement_trigger="one"), size=2)

    await same_again(lab, before, after)


async def test_ignored_changes_come_back_too(lab: Lab) -> None:
    """The update no longer ignores the property, and changes it."""

    def before() -> None:
        Thing("a", ResourceOptions(ignore_changes=["size", "shape.x"]), size=1, shape={"x": 1})

    def after() -> None:
        Thing("a", size=2, shape={"x": 2})

    await same_again(lab, before, after)


async def test_aliases(lab: Lab) -> None:
    """Renamed, of another type, under another parent, with its children."""

    def before() -> None:
        group = Group("old")
        Thing("a", ResourceOptions(parent=group), size=1)
        Thing("b", size=1)
        Thing("c", size=1)

    def after() -> None:
        group = Group("new", ResourceOptions(aliases=[pulumi.Alias(name="old")]))
        Thing("a", ResourceOptions(parent=group), size=2)
        Thing("bb", ResourceOptions(aliases=[pulumi.Alias(name="b")]), size=2)
        Thing(
            "c",
            ResourceOptions(
                parent=group, aliases=[pulumi.Alias(parent=pulumi.ROOT_STACK_RESOURCE)]
            ),
            size=2,
        )

    await same_again(lab, before, after)


async def test_assets_and_archives(lab: Lab) -> None:
    path = lab.world.parent / "asset.txt"
    path.write_text("from a file")

    def before() -> None:
        files = {"a.txt": pulumi.StringAsset("in the archive"), "b": pulumi.FileAsset(str(path))}
        Thing("a", asset=pulumi.StringAsset("text"), file=pulumi.FileAsset(str(path)))
        Thing("b", archive=pulumi.AssetArchive(files))

    def after() -> None:
        Thing("a", asset=pulumi.StringAsset("other"))
        Thing("b", archive=pulumi.AssetArchive({"a.txt": pulumi.StringAsset("less")}))

    await same_again(lab, before, after)


async def test_names_that_hold_the_separator(lab: Lab) -> None:
    def program(size: int) -> Program:
        return lambda: Thing("a::b", ResourceOptions(parent=Group("g::h $x")), size=size)

    await same_again(lab, program(1), program(2))


async def test_special_numbers_and_empty_values(lab: Lab) -> None:
    def program(size: int) -> Program:
        def run() -> None:
            Thing("a", big=2**53, tiny=1e-300, empty={}, none=[], text="", size=size)
            pulumi.export("inf", float("inf"))

        return run

    await same_again(lab, program(1), program(2))


async def test_parameterized_packages(lab: Lab) -> None:
    def program(size: int) -> Program:
        def run() -> None:
            a = Sub("a", size=size)
            Thing("b", of=a.made)
            if size == 2:
                Sub("c")

        return run

    await same_again(lab, program(1), program(2))
