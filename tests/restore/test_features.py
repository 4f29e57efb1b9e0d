"""Each feature of a deployment, changed by an update and brought back, by the real engine."""

from __future__ import annotations

from typing import Any

import pulumi

from tests.restore.conftest import Lab
from tests.restore.things import Group, Thing


async def same_again(lab: Lab, before: Any, after: Any, *, fails: bool = False) -> None:
    """Bring it up, change it, restore it: state, world and preview are as they were."""
    assert (await lab.up(before)).failure is None
    await lab.keep()
    state, world = await lab.state(), lab.things()
    changed = await lab.up(after)
    assert (changed.failure is not None) == fails, changed.failure
    assert await lab.state() != state
    restored = await lab.restore()
    assert restored.failure is None, (restored.failure, restored.unlike)
    assert restored.unlike == ()
    assert restored.renewed == ()
    assert await lab.state() == state
    assert lab.things() == world
    assert set((await lab.preview(before)).changes) == {"same"}


async def test_changed_added_and_failed(lab: Lab) -> None:
    """One resource changed, one added, one failed: 1 updated, 1 deleted."""
    world = str(lab.world)

    def before() -> None:
        a = Thing("a", world, size=1)
        Thing("b", world, of=a.made, token=pulumi.Output.secret("canary-1"))
        pulumi.export("address", a.made)
        pulumi.export("secret", pulumi.Output.secret("canary-2"))

    def after() -> None:
        a = Thing("a", world, size=2)
        Thing("c", world)
        Thing("b", world, of=a.made, token=pulumi.Output.secret("canary-3"), fail="here")

    await same_again(lab, before, after, fails=True)


async def test_components_and_parents(lab: Lab) -> None:
    """Of two levels, with outputs of their own."""
    world = str(lab.world)

    def program(size: int) -> None:
        group = Group("outer")
        inner = Group("inner", pulumi.ResourceOptions(parent=group))
        a = Thing("a", world, pulumi.ResourceOptions(parent=inner), size=size)
        inner.register_outputs({"made": a.made, "size": size})
        group.register_outputs({})
        if size == 2:
            Thing("b", world, pulumi.ResourceOptions(parent=group))

    await same_again(lab, lambda: program(1), lambda: program(2))
