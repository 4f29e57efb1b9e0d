"""What an update has renamed and replaced as well, and then failed, is what it was again."""

from __future__ import annotations

import pulumi
import pytest
from pulumi import ResourceOptions

from tests.restore.conftest import Lab
from tests.restore.test_features import same_again
from tests.restore.things import Group, Thing

pytestmark = [pytest.mark.lives, pytest.mark.usefixtures("made_already")]


@pytest.mark.parametrize(
    ("retained", "first"),
    [(False, False), (True, False), (True, True)],  # What is deleted first may not come back.
    ids=["replaced", "retained", "retained, and taken out first"],
)
@pytest.mark.parametrize("moved", [False, True], ids=["renamed", "moved"])
async def test_it_comes_back_with_its_old_name_and_id(
    lab: Lab, *, retained: bool, first: bool, moved: bool
) -> None:
    """Its replacement, under the new name, is deleted."""

    def before() -> None:
        a = Thing("a", ResourceOptions(retain_on_delete=retained), fixed=1, deleteFirst=first)
        Thing("b", of=a.made)

    def after() -> None:
        group = Group("new") if moved else None
        old = pulumi.Alias(name="a", parent=pulumi.ROOT_STACK_RESOURCE)
        options = ResourceOptions(aliases=[old], parent=group)
        fail = "x" if first else ""
        a = Thing("aa", options, fixed=2, deleteFirst=first, fail=fail)
        Thing("b", of=a.made)
        Thing("c", ResourceOptions(depends_on=[a]), fail="at the end")

    await same_again(lab, before, after, fails=True)
