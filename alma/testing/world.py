"""What fakes bring about: programs as data, stacks as Pulumi's state would show them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from alma.core.secret import Secret
from alma.pulumi.engine import Checkpoint, PendingOperation, Resource, StackRef

Key = tuple[str, str]
"""Project and stack."""


@dataclass(frozen=True, kw_only=True)
class FakeProgram:
    """What a project's program makes: resource names in order, and outputs."""

    resources: tuple[str, ...] = ("one", "two")
    outputs: Mapping[str, Any] = field(default_factory=lambda: {"url": "fake://"})


@dataclass
class FakeWorld:
    """`states` is what Pulumi's state shows; `things` the URNs that exist at the provider.

    The two differ where a CLI or a provider was killed: that is where orphans come from.
    `at_work` are the stacks whose CLI has outlived its runner, with what it will still do.
    """

    states: dict[Key, Checkpoint] = field(default_factory=dict)
    things: set[str] = field(default_factory=set)
    at_work: dict[Key, tuple[tuple[str, Resource], ...]] = field(default_factory=dict)
    opened: dict[Key, Mapping[str, Any]] = field(default_factory=dict)
    """Outputs with opened secrets."""
    kept: dict[str, tuple[Checkpoint, Mapping[str, Any]]] = field(default_factory=dict)
    """What was exported: states and their opened outputs, by what the document says of them."""

    def state(self, key: Key) -> Checkpoint:
        """The state of a stack."""
        return self.states.get(key, Checkpoint(exists=False))

    def put(self, key: Key, state: Checkpoint) -> Checkpoint:
        """Write a stack's state."""
        text = repr((state.resources, state.pending))
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        self.states[key] = replace(state, exists=True, fingerprint=digest)
        return self.states[key]

    def create(self, key: Key, resource: Resource) -> None:
        """The provider makes it, and the state knows."""
        self.things.add(resource.urn)
        state = self.state(key)
        self.put(key, replace(state, resources=(*state.resources, resource)))

    def delete(self, key: Key, resource: Resource) -> None:
        """The provider deletes it (or it is gone already, or let go), and the state knows."""
        if not resource.retain_on_delete:
            self.things.discard(resource.urn)
        state = self.state(key)
        rest = tuple(other for other in state.resources if other != resource)
        self.put(key, replace(state, resources=rest))

    def refresh(self, key: Key) -> None:
        """The state learns what is not there any more."""
        state = self.state(key)
        left = tuple(one for one in state.resources if one.urn in self.things)
        self.put(key, replace(state, resources=left))

    def cut_off(self, key: Key, resource: Resource, kind: str) -> None:
        """The CLI was killed in the middle: the provider finished it, the state does not know."""
        if kind == "creating":
            self.things.add(resource.urn)
        else:
            self.things.discard(resource.urn)
        state = self.state(key)
        # A create is not known by its id yet; what is deleted is.
        known = "" if kind == "creating" else resource.id
        begun = PendingOperation(urn=resource.urn, kind=kind, id=known)
        self.put(key, replace(state, pending=(*state.pending, begun)))

    def mend(self, key: Key, found: Mapping[str, str]) -> None:
        """Resolve the pending creates: URN to physical id, or never happened."""
        state = self.state(key)
        made = tuple(
            Resource(urn=begun.urn, type=begun.urn.split("::")[2], id=found[begun.urn])
            for begun in state.pending
            if begun.kind == "creating" and begun.urn in found
        )
        self.put(key, replace(state, resources=(*state.resources, *made), pending=()))

    def keep(self, key: Key) -> dict[str, Any]:
        """A document that stands for the stack's state as it is now."""
        state = self.state(key)
        name = f"{'/'.join(key)} {state.fingerprint}"
        self.kept[name] = state, self.opened.get(key, {})
        entries = [
            {"urn": one.urn, "type": one.type, "id": one.id, "custom": one.custom}
            for one in state.resources
        ]
        return {"kept": name, "deployment": {"resources": entries}}

    def land(self, key: Key) -> bool:
        """Let the CLI that has outlived its runner end; False when there was none."""
        rest = self.at_work.pop(key, None)
        for kind, resource in rest or ():
            (self.create if kind == "creating" else self.delete)(key, resource)
        return rest is not None


def resource_of(ref: StackRef, name: str) -> Resource:
    """A resource of that name in a stack."""
    urn = f"urn:pulumi:{ref.stack}::{ref.project}::fake:index:Thing::{name}"
    return Resource(urn=urn, type="fake:index:Thing", id=f"{ref.project}-{name}")


def seal(tree: Any) -> Any:
    """The tree with its secrets sealed, as a state has them."""
    if isinstance(tree, Secret):
        return Secret.sealed()
    if isinstance(tree, Mapping):
        return {key: seal(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [seal(value) for value in tree]
    return tree


def count(work: Iterable[tuple[str, Resource]]) -> dict[str, int]:
    """How many resources are created, deleted or left by this work."""
    words = {"creating": "create", "deleting": "delete", "same": "same"}
    return dict(Counter(words[kind] for kind, _ in work))
