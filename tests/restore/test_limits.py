"""What cannot be as it was: made again with a new id, or named with its reason."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pulumi
import pytest
from pulumi import Output, ResourceOptions

from alma.core.operation import Difference
from alma.errors import AuthenticationError
from alma.pulumi.engine import RestoreResult
from alma.pulumi.local import PulumiEngine
from alma.pulumi.restore.compare import compare
from tests.restore.conftest import Lab
from tests.restore.things import Provider, Thing

pytestmark = pytest.mark.lives

Program = Callable[[], Any]


async def restored(
    lab: Lab, before: Program, after: Program, *, fails: bool = False
) -> RestoreResult:
    """Bring it up, change it, restore it."""
    first = await lab.up(before)
    assert first.failure is None, first.failure
    await lab.keep()
    changed = await lab.up(after)
    assert (changed.failure is not None) == fails, changed.failure
    return await lab.restore()


def named(differences: tuple[Difference, ...]) -> dict[str, str]:
    return {one.urn.rpartition("::")[2]: one.reason for one in differences}


async def test_deleted_and_replaced_for_good_is_made_again(lab: Lab) -> None:
    """The update succeeded, so its old resources are gone: new ids, and others follow them."""

    def before() -> None:
        a, b = Thing("a", fixed=1), Thing("b", size=1)
        policy = Output.concat("allow ", a.made, " and ", b.id)
        Thing("c", of=a.made, policy=policy, id_of=Output.secret(b.id), other="plain")
        pulumi.export("address", a.made)
        pulumi.export("sentence", policy)

    def after() -> None:
        Thing("a", fixed=2)
        Thing("c", other="plain")

    result = await restored(lab, before, after)
    assert result.failure is None, result
    assert sorted(named(result.recreated)) == ["a", "b"]
    assert "made again; it was" in result.recreated[0].reason
    ids = {one.urn.rpartition("::")[2]: one.id for one in result.recreated}
    world = lab.things()
    assert len(world) == 3
    (c,) = (held["inputs"] for name, held in world.items() if name.startswith("c-"))
    assert c["of"] == f"address-of-{ids['a']}"
    assert c["policy"] == f"allow address-of-{ids['a']} and {ids['b']}"
    assert c["id_of"] == ids["b"]
    outputs = (await lab.place.engine.inspect(lab.place.ref())).outputs
    assert outputs["address"] == f"address-of-{ids['a']}"
    assert outputs["sentence"] == c["policy"]
    assert set((await lab.preview(before)).changes) == {"same"}


async def test_what_was_protected_and_is_deleted_is_made_again(lab: Lab) -> None:
    """The update took its protection off, deleted it first, and could not make the new one."""

    def program(number: int) -> Program:
        def run() -> None:
            options = ResourceOptions(protect=number == 1)
            a = Thing("a", options, fixed=number, deleteFirst=True, fail="x" if number == 2 else "")
            Thing("b", ResourceOptions(protect=True), of=a.made)

        return run

    result = await restored(lab, program(1), program(2), fails=True)
    assert result.failure is None, result
    assert list(named(result.recreated)) == ["a"]
    things = [held for held in (await lab.state()).values() if held["type"].endswith(":Thing")]
    assert [held.get("protect") for held in things] == [True, True]
    assert sorted(name[0] for name in lab.things()) == ["a", "b"]
    assert set((await lab.preview(program(1))).changes) == {"same"}


async def test_what_was_let_go_comes_back_although_what_it_needed_is_gone(lab: Lab) -> None:
    """Its parent, its provider and a dependency were deleted: they are made again, it is not."""

    def before() -> None:
        own = Provider("own")
        e = Thing("e", size=1)
        options = ResourceOptions(retain_on_delete=True, parent=e, provider=own, deleted_with=e)
        d = Thing("d", options, of=e.made)
        Thing("x", ResourceOptions(retain_on_delete=True, depends_on=[d]))

    result = await restored(lab, before, lambda: None)
    assert result.failure is None, result
    assert list(named(result.recreated)) == ["e"]
    held = {name[0]: value["inputs"] for name, value in lab.things().items()}
    assert sorted(held) == ["d", "e", "x"]
    assert len(lab.things()) == 3
    assert held["d"]["of"] == f"address-of-{result.recreated[0].id}"
    assert set((await lab.preview(before)).changes) == {"same"}


async def test_what_was_let_go_and_is_gone_is_made_again(lab: Lab) -> None:
    """Two attempts: one takes the option off, and the next one then deletes it for good."""

    def program(*, retain: bool) -> Program:
        def run() -> None:
            Thing("a", ResourceOptions(retain_on_delete=retain), size=1)
            Thing("b", ResourceOptions(retain_on_delete=True), size=1)

        return run

    await lab.up(program(retain=True))
    await lab.keep()
    await lab.up(program(retain=False))
    await lab.up(lambda: None)
    result = await lab.restore()
    assert result.failure is None, result
    assert list(named(result.recreated)) == ["a"]
    assert sorted(name[0] for name in lab.things()) == ["a", "b"]


def test_what_was_let_go_and_made_again_all_the_same_is_named() -> None:
    """Where the state could not be mended before: then there are two."""
    entry = {"urn": "urn:pulumi:dev::p::t:m:T::a", "type": "t:m:T", "custom": True}
    before = {"resources": [{**entry, "id": "old", "retainOnDelete": True}]}
    after = {"resources": [{**entry, "id": "new", "retainOnDelete": True}]}
    found = compare(before, after, {})
    assert "may still exist" in found.different[0].reason


async def test_what_the_update_made_and_protected_is_named(lab: Lab) -> None:
    """The engine would refuse to delete it, and stop: all else is put back."""

    def before() -> None:
        Thing("a", size=1)

    def after() -> None:
        Thing("a", size=2)
        provider = Provider("new")
        needed = Thing("needed")
        options = ResourceOptions(protect=True, provider=provider, depends_on=[needed])
        Thing("kept", options, token=Output.secret("canary"))
        Thing("gone")

    result = await restored(lab, before, after)
    assert result.failure is not None
    assert "protected against its deletion" in named(result.different)["kept"]
    assert sorted(named(result.different)) == ["kept", "needed"]
    held = {name.rpartition("-")[0]: value["inputs"] for name, value in lab.things().items()}
    assert sorted(held) == ["a", "kept", "needed"]
    assert held["a"]["size"] == 1


async def test_a_value_that_its_provider_makes_up_anew_is_named(lab: Lab) -> None:
    """A title that nobody gave, and that the update has given: all else is put back."""
    before, after = (lambda: Thing("a", size=1)), (lambda: Thing("a", size=2, title="given"))
    result = await restored(lab, before, after)
    assert result.failure is not None
    assert named(result.different) == {
        "a": "not as before: input title (made up anew by its provider)"
    }
    assert result.recreated == ()
    assert set((await lab.preview(before)).changes) == {"same"}


async def test_a_provider_that_refuses_is_quoted(lab: Lab) -> None:
    """One cannot be changed back, one not deleted; what is independent of them is put back."""

    def before() -> None:
        Thing("a", size=1)
        Thing("b", size=1, fail="")

    def after() -> None:
        Thing("a", size=2)
        Thing("b", size=2, fail="")
        Thing("c", refuse=True)

    result = await restored(lab, before, after)
    assert result.failure is not None
    assert named(result.different) == {"c": "made by this run, and still there (it refuses to go)"}
    sizes = {name[0]: held["inputs"].get("size") for name, held in lab.things().items()}
    assert sizes == {"a": 1, "b": 1, "c": None}
    again = await lab.restore()
    assert named(again.different) == named(result.different)


async def test_a_protected_resource_is_not_replaced(lab: Lab) -> None:
    """Its old inputs can only be had by a replacement: what does not need it is put back."""

    def program(size: int, *, protect: bool) -> Program:
        def run() -> None:
            options = ResourceOptions(protect=protect)
            a, d = Thing("a", options, fixed=size), Thing("d", options, fixed=size)
            Thing("b", size=size)
            Thing("c", of=a.made)
            Thing("e", ResourceOptions(depends_on=[d]), size=size)

        return run

    first = await lab.up(program(1, protect=False))
    assert first.failure is None
    await lab.up(program(1, protect=True))
    await lab.keep()
    await lab.up(program(1, protect=False))
    await lab.up(program(2, protect=True))
    result = await lab.restore()
    assert result.failure is not None
    assert "protect" in result.failure.message
    assert sorted(named(result.different)) == ["a", "d", "e"]
    assert "protect" in named(result.different)["a"]
    assert "protect" in named(result.different)["d"]
    held = {name[0]: value["inputs"] for name, value in lab.things().items()}
    assert held["b"]["size"] == 1
    assert held["e"]["size"] == 2
    (a,) = (name for name in lab.things() if name.startswith("a-"))
    assert held["c"]["of"] == f"address-of-{a}"


async def test_an_imported_resource_that_is_still_there(lab: Lab) -> None:
    """`import` of a program: the id by which it was taken over is kept."""
    (lab.world / "theirs").write_text('{"inputs": {"size": 1, "title": "x"}}')

    def program(size: int) -> Program:
        options = ResourceOptions(import_="theirs") if size == 1 else None
        return lambda: Thing("a", options, size=size, title="x")

    result = await restored(lab, program(1), program(2))
    assert result.failure is None, result
    assert result.recreated == ()
    state = await lab.state()
    (entry,) = (one for one in state.values() if one["type"] == "world:index:Thing")
    assert entry["importID"] == entry["id"] == "theirs"
    assert entry["inputs"]["size"] == 1
    assert set((await lab.preview(program(1))).changes) == {"same"}


async def test_restoring_twice_changes_nothing(lab: Lab) -> None:
    def program(size: int) -> Program:
        return lambda: Thing("a", size=size, token=Output.secret("canary"))

    assert (await restored(lab, program(1), program(2))).changes["update"] == 1
    again = await lab.restore()
    assert again.failure is None
    assert set(again.changes) == {"same"}


@pytest.mark.usefixtures("under_a_passphrase")
async def test_without_its_passphrase_it_is_refused(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is touched."""

    def program(size: int) -> Program:
        return lambda: Thing("a", size=size, token=Output.secret("canary"))

    await lab.up(program(1))
    await lab.keep()
    await lab.up(program(2))
    world = lab.things()
    monkeypatch.setenv("PULUMI_BACKEND_URL", lab.place.engine.where(lab.place.ref()))
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "another one")
    other = PulumiEngine()
    lab.place.engine, mine = other, lab.place.engine
    with pytest.raises(AuthenticationError):
        await lab.restore()
    await other.close()
    lab.place.engine = mine
    assert lab.things() == world


async def test_no_secret_is_left_anywhere(lab: Lab) -> None:
    """Not in argv, logs, temporary files or the kept document."""

    def program(size: int) -> Program:
        def run() -> None:
            Thing("a", size=size, token=Output.secret(f"canary-{size}"), fail="")
            pulumi.export("x", {"nested": Output.secret("canary-out")})

        return run

    await restored(lab, program(1), program(2))
    assert "canary" not in str(lab.snapshot)
    assert not any("canary" in line for line in lab.place.commands())
    files = [path for path in await asyncio.to_thread(lab.files) if path.is_file()]
    assert files
    assert not [path for path in files if b"canary" in path.read_bytes()]


@pytest.mark.parametrize("gone", [False, True])
async def test_a_file_that_is_another_one_by_now_is_named(lab: Lab, *, gone: bool) -> None:
    """The state knows only its hash: what was made of it stays as the update left it."""
    path = lab.world.parent / "asset.txt"
    path.write_text("as it was")

    def before() -> None:
        Thing("a", asset=pulumi.FileAsset(str(path)))
        Thing("b", asset=pulumi.FileAsset(str(path)), size=1)
        Thing("same", asset=pulumi.FileAsset(str(path)))

    def after() -> None:
        path.write_text("another one")
        other = Thing("other")
        Thing("a", asset=pulumi.StringAsset("text"), of=other.made)
        if not gone:
            Thing("b", asset=pulumi.StringAsset("text"), size=2)
        Thing("same", asset=pulumi.StringAsset("as it was"))

    result = await restored(lab, before, after)
    assert result.failure is not None
    reasons = named(result.different)
    assert "not what it was then" in reasons["a"]
    assert "not what it was then" in reasons["b"]
    again = await lab.restore()
    assert {"a", "b"} <= set(named(again.different))
