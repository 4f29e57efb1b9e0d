"""Random deployments as data, the updates that change them, and the programs that make them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import pulumi
from hypothesis import strategies as st
from pulumi import Output, ResourceOptions

from tests.restore.things import Group, Provider, Thing

_NAMES = "abcdefgh"


@dataclass(frozen=True, kw_only=True, repr=False)
class Node:
    """One resource. `uses`, `needs` and `parent` name others, of which only earlier ones count."""

    size: int = 1
    fixed: int = 1
    group: bool = False
    own_provider: bool = False
    secret: bool = False
    delete_first: bool = False
    protect: bool = False
    retain: bool = False
    ignores: bool = False
    replaces: bool = False
    hides: bool = False
    titled: bool = False
    uses: str = ""
    needs: str = ""
    parent: str = ""
    alias: str = ""
    """Another name that it is given instead, with its old one as an alias."""
    fails: bool = False

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text(repr(self))  # Hypothesis would tell every field.

    def __repr__(self) -> str:
        told = (
            f"{one.name}={value!r}" for one in fields(self) if (value := getattr(self, one.name))
        )
        return f"Node({', '.join(told)})"


Deployment = Mapping[str, Node]
"""By name, in the order of the program."""

_others = st.sampled_from(["", "", *_NAMES])
_rarely = st.sampled_from([False, False, False, True])
_nodes = st.builds(
    Node,
    size=st.integers(1, 3),
    fixed=st.integers(1, 2),
    group=_rarely,
    own_provider=_rarely,
    secret=st.booleans(),
    delete_first=_rarely,
    protect=_rarely,
    retain=_rarely,
    ignores=_rarely,
    replaces=_rarely,
    hides=_rarely,
    titled=st.booleans(),
    uses=_others,
    needs=_others,
    parent=_others,
)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Deployment, Deployment]:
    """A deployment, and what an update makes of it: it fails somewhere, or nowhere."""
    names = draw(st.permutations(_NAMES[: draw(st.integers(1, len(_NAMES)))]))
    before = {name: draw(_nodes) for name in names if draw(st.sampled_from([True, True, False]))}
    after: dict[str, Node] = {}
    for name in draw(st.permutations(names)) if draw(_rarely) else names:
        old = before.get(name)
        node = _changed(draw, old) if old else replace(draw(_nodes), protect=False)
        if node is not None:
            after[name] = node
    failing = draw(st.sampled_from(["", *after])) if after else ""
    if failing:
        after[failing] = replace(after[failing], fails=True)
    return before, after


def _changed(draw: st.DrawFn, old: Node) -> Node | None:
    how = draw(st.sampled_from(["same", "size", "fixed", "new", "options", "gone", "alias"]))
    if how == "gone":
        return None
    if how == "size":
        return replace(old, size=old.size + 1)
    if how == "fixed":
        return replace(old, fixed=old.fixed + 1)
    other = draw(_nodes)
    # What the update itself protects is named, not undone: a test of its own shows it.
    if how == "new":
        return replace(other, group=old.group, protect=False)
    if how == "options":
        return replace(other, group=old.group, protect=False, size=old.size, fixed=old.fixed)
    if how == "alias":
        return replace(old, alias="renamed", size=old.size + draw(st.integers(0, 1)))
    return old


def program_of(deployment: Deployment, note: str) -> Callable[[], None]:
    """The program that makes it."""

    def run() -> None:
        made: dict[str, Any] = {}
        provider = None
        if any(node.own_provider for node in deployment.values()):
            provider = Provider("own", note=note)
        for name, node in deployment.items():
            made[name] = _make(name, node, made, provider)
        for name, thing in made.items():
            if isinstance(thing, Thing):
                pulumi.export(name, Output.secret(thing.made) if name in "ab" else thing.made)
        pulumi.export("note", note)

    return run


def _make(name: str, node: Node, made: Mapping[str, Any], provider: Any) -> Any:
    parent, needed = made.get(node.parent), made.get(node.needs)
    if isinstance(needed, Group):
        needed = None  # It would mean all of its children, this one perhaps among them.
    new_name = f"{name}-{node.alias}" if node.alias else name
    options = ResourceOptions(
        parent=parent,
        depends_on=[needed] if needed is not None else None,
        protect=node.protect,
        aliases=[pulumi.Alias(name=name)] if node.alias else None,
    )
    if node.group:
        group = Group(new_name, options)
        group.register_outputs({"size": node.size})
        return group
    options = ResourceOptions.merge(
        options,
        ResourceOptions(
            provider=provider if node.own_provider else None,
            retain_on_delete=node.retain,
            ignore_changes=["size"] if node.ignores else None,
            replace_on_changes=["size"] if node.replaces else None,
            additional_secret_outputs=["made"] if node.hides else None,
        ),
    )
    used = made.get(node.uses)
    props: dict[str, Any] = {
        "size": node.size,
        "fixed": node.fixed,
        "fail": "as it was told" if node.fails else "",
        "deleteFirst": node.delete_first,
    }
    if node.titled:
        props["title"] = f"title of {name}"
    if node.secret:
        props["token"] = Output.secret(f"canary-{node.size}")
    if isinstance(used, Thing):
        props["of"] = Output.concat("by ", used.made)
    return Thing(new_name, options, **props)
