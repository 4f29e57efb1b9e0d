"""What an update has replaced or let go is brought back, by the real engine."""

from __future__ import annotations

import pytest
from pulumi import ResourceOptions

from tests.restore.conftest import Lab
from tests.restore.test_features import Program, same_again
from tests.restore.things import Thing

pytestmark = [pytest.mark.lives, pytest.mark.usefixtures("made_already")]


async def test_a_replacement_that_an_update_did_not_finish_is_taken_back(lab: Lab) -> None:
    """The old ones are still there, marked for deletion: their ids, and what they hold, stay."""

    def program(number: int) -> Program:
        def run() -> None:
            a = Thing("a", fixed=number)
            Thing("b", of=a.made, fixed=a.made)
            Thing("c", of=a.made)
            if number == 2:
                Thing("d", ResourceOptions(depends_on=[a]), fail="at the end")

        return run

    await same_again(lab, program(1), program(2), fails=True)


async def test_what_retain_on_delete_let_go_comes_back(lab: Lab) -> None:
    """Removed from the state, and replaced in it: both are still in the world."""

    def before() -> None:
        Thing("a", ResourceOptions(retain_on_delete=True), size=1)
        Thing("b", ResourceOptions(retain_on_delete=True), fixed=1)

    def after() -> None:
        Thing("b", fixed=2)

    await same_again(lab, before, after)


async def test_what_was_let_go_before_its_replacement_comes_back(lab: Lab) -> None:
    """Delete before replace: the old one is out of the state, half way, but still there."""

    def program(number: int) -> Program:
        def run() -> None:
            options = ResourceOptions(retain_on_delete=True)
            Thing("a", options, fixed=number, deleteFirst=True, fail="x" if number == 2 else "")

        return run

    await same_again(lab, program(1), program(2), fails=True)
