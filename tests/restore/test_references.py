"""References of a deployment, changed by an update and brought back, by the real engine."""

from __future__ import annotations

import pulumi
import pytest
from pulumi import ResourceOptions

from tests.restore.conftest import Lab
from tests.restore.test_features import Program, same_again
from tests.restore.things import Thing

pytestmark = [pytest.mark.lives, pytest.mark.usefixtures("made_already")]


async def test_dependencies_of_both_kinds(lab: Lab) -> None:
    def before() -> None:
        a, b = Thing("a"), Thing("b")
        Thing("c", ResourceOptions(depends_on=[b]), of=a.made, plain="x")
        Thing("d", ResourceOptions(depends_on=[a, b]))

    def after() -> None:
        a, b = Thing("a"), Thing("b")
        Thing("c", ResourceOptions(depends_on=[a]), of=b.made, plain="x")
        Thing("d")

    await same_again(lab, before, after)


async def test_resource_references(lab: Lab) -> None:
    def program(size: int) -> Program:
        def run() -> None:
            a, b = Thing("a"), Thing("b")
            Thing("c", ref=a if size == 1 else b, all=[a, b][:size], size=size)
            pulumi.export("ref", a)

        return run

    await same_again(lab, program(1), program(2))


async def test_read_resources(lab: Lab) -> None:
    """What the program only reads is read again, never touched."""
    (lab.world / "external").write_text('{"inputs": {"size": 7}}')

    def before() -> None:
        x = Thing("x", ResourceOptions(id="external"))
        Thing("a", of=x.id, size=1)
        pulumi.export("read", x.id)

    def after() -> None:
        Thing("a", of="nothing", size=2)

    await same_again(lab, before, after)


async def test_stack_references(lab: Lab) -> None:
    def other() -> None:
        pulumi.export("value", "from the other")

    assert (await lab.up(other, stack="other")).failure is None

    def before() -> None:
        there = pulumi.StackReference("organization/demo/other")
        Thing("a", of=there.get_output("value"))

    def after() -> None:
        Thing("a", of="nothing")

    await same_again(lab, before, after)
