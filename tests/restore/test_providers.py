"""Providers of a deployment, changed by an update and brought back, by the real engine."""

from __future__ import annotations

import pytest
from pulumi import Output, ResourceOptions

from alma import Secret
from tests.restore.conftest import Lab
from tests.restore.dynamic_things import Thing as Dynamic
from tests.restore.test_features import Program, same_again
from tests.restore.things import Provider, Thing

pytestmark = [pytest.mark.lives, pytest.mark.usefixtures("made_already")]


async def test_explicit_and_default_providers(lab: Lab) -> None:
    """Versions, configuration, secret configuration; the update changes each of them."""

    def program(number: int) -> Program:
        def run() -> None:
            one = Provider("one", note=f"note-{number}", token=Output.secret(f"canary-{number}"))
            Thing("by-one", ResourceOptions(provider=one), size=1)
            Thing("by-default", size=number)
            if number == 2:
                Thing("new", ResourceOptions(provider=Provider("two", note="x")))

        return run

    one = {"world:realm": "r1", "world:extra": {"a": [1]}, "world:key": Secret("canary-key")}
    two = {"world:realm": "r1", "world:more": "x", "world:key": Secret("canary-other")}
    await same_again(lab, program(1), program(2), configs=(one, two))


async def test_a_thing_moves_back_to_its_own_provider(lab: Lab) -> None:
    def program(*, own: bool) -> Program:
        def run() -> None:
            provider = Provider("own", note="x")
            Thing("a", ResourceOptions(provider=provider) if own else None, size=1)

        return run

    await same_again(lab, program(own=True), program(own=False))


async def test_versions_of_default_providers(lab: Lab) -> None:
    """And where their plugin is from."""
    url = "https://example.com/plugins"

    def before() -> None:
        Thing("a", ResourceOptions(version="1.0.0", plugin_download_url=url), size=1)
        Thing("b", ResourceOptions(version="1.0.0", plugin_download_url=url))

    def after() -> None:
        Thing("a", ResourceOptions(version="1.2.0", plugin_download_url=url), size=2)
        Thing("b", ResourceOptions(version="1.2.0", plugin_download_url=f"{url}/2"))

    await same_again(lab, before, after)


async def test_dynamic_resources(lab: Lab) -> None:
    """Their provider's code is an input too, and comes back; ids and contents stay."""
    world = str(lab.world)

    def before() -> None:
        a = Dynamic("a", world, size=1)
        Dynamic("b", world, of=a.made, token=Output.secret("canary-1"))
        Dynamic("c", world, ResourceOptions(protect=True), fixed=1)

    def after() -> None:
        a = Dynamic("a", world, size=2)
        Dynamic("d", world)
        Dynamic("c", world, fixed=2)
        Dynamic("b", world, of=a.made, token=Output.secret("canary-3"), fail="here")

    await same_again(lab, before, after, fails=True)


async def test_a_provider_that_is_replaced(lab: Lab) -> None:
    """Another realm replaces the provider and all that it made; the end of the update fails."""

    def program(realm: str) -> Program:
        def run() -> None:
            provider = Provider("one", realm=realm)
            a = Thing("a", ResourceOptions(provider=provider), size=1)
            Thing("b", ResourceOptions(provider=provider), of=a.made)
            if realm == "r2":
                Thing("c", ResourceOptions(depends_on=[a]), fail="at the end")

        return run

    await same_again(lab, program("r1"), program("r2"), fails=True)
