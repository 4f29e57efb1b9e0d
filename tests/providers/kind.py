"""What a stand-in knows about one resource type. All values in here are plain (see `values`)."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

from tests.providers.values import UNKNOWN

Props = dict[str, Any]


class Made(NamedTuple):
    """A resource that was created: its physical id, and its outputs (its inputs are added)."""

    id: str
    outputs: Props


class PartlyMadeError(Exception):
    """Raised by `create` or `update`: the resource is there, but is not as it should be.

    The engine keeps it in the state, as one to mend or to delete, and fails the operation.
    """

    def __init__(self, id_: str, outputs: Props, reason: Exception | str) -> None:
        super().__init__(str(reason))
        self.id, self.outputs, self.reason = id_, outputs, reason


class Kind:
    """One resource type. Subclasses say in class attributes what it is, and do the rest.

    `api` is what the provider's `connect` returned. The methods run in threads, several at once.
    """

    token: ClassVar[str]
    """Pulumi's type token, such as `aws:s3/bucket:Bucket`."""
    inputs: ClassVar[frozenset[str] | None] = frozenset()
    """The inputs that it takes; any other is refused by name. None: it takes all."""
    outputs: ClassVar[frozenset[str]] = frozenset()
    """What only the service can tell: unknown in the preview of a create."""
    volatile: ClassVar[frozenset[str]] = frozenset()
    """Those of `outputs` that an update may change: unknown in its preview."""
    immutable: ClassVar[frozenset[str]] = frozenset()
    """Paths (`name`, `spec.selector`) whose change needs another resource."""
    secret: ClassVar[frozenset[str]] = frozenset()
    """Outputs that are secret whatever the program says."""
    defaults: ClassVar[Mapping[str, Any]] = {}
    """What an input counts as when it is not given: handed to `create` and `update`."""
    computed: ClassVar[frozenset[str]] = frozenset()
    """Inputs that the service decides on when they are not given: they then stay as they are."""
    maps: ClassVar[frozenset[str]] = frozenset({"tags"})
    """Inputs with keys of the user's own: a refresh takes over keys that somebody added."""
    autoname: ClassVar[str | None] = None
    """The input that, when it is not given, is made of the resource's name and chance."""
    delete_first: ClassVar[bool] = False
    """Two of them cannot be at once: a replacement deletes the old one first."""

    def check(self, inputs: Props) -> Iterator[tuple[str, str]]:  # noqa: ARG002 - for subclasses
        """Give (property, what is wrong) for inputs that the service would not take.

        In a preview a value may be `UNKNOWN`.
        """
        yield from ()

    def complete(self, old: Props, new: Props, name: str, seed: bytes) -> Props:
        """The inputs with what is made up for them: the name, kept once it is there.

        What was made up is listed in `__defaults`, as Pulumi's own bridged providers do.
        """
        if self.autoname is None or self.autoname in new:
            return new
        if self.autoname in old.get("__defaults", ()):
            made_up = old[self.autoname]
        else:
            made_up = self.make_name(f"{name}-{_chance(seed, 7)}", new)
        return {**new, self.autoname: made_up, "__defaults": [self.autoname]}

    def make_name(self, candidate: str, inputs: Props) -> str:  # noqa: ARG002 - for subclasses
        """A name that the service takes, out of a candidate."""
        return candidate

    def equal(self, path: str, old: Any, new: Any) -> bool:  # noqa: ARG002 - for subclasses
        """Whether the service sees no difference between the values at this path."""
        return bool(old == new) and new != UNKNOWN

    def drifted(self, api: Any, state: Props, inputs: Props) -> Iterator[str]:  # noqa: ARG002
        """Paths that need an update although no input has changed. `api` may be None."""
        yield from ()

    def planned(self, inputs: Props) -> Props:
        """The outputs in the preview of a create: what the service tells is not known yet."""
        return {key: inputs.get(key, UNKNOWN) for key in self.outputs}

    def create(self, api: Any, inputs: Props) -> Made:
        """Create it. What an error leaves behind must be removed first, or be in the error."""
        raise NotImplementedError

    def read(self, api: Any, id_: str, state: Props) -> Props | None:
        """Inputs and outputs as they are; None when it is gone. `state` is {} for an import."""
        raise NotImplementedError

    def update(self, api: Any, id_: str, old: Props, new: Props) -> Props:
        """Change it from the old state to the new inputs; the outputs that changed."""
        raise NotImplementedError

    def delete(self, api: Any, id_: str, state: Props) -> None:
        """Delete it, and see it gone. One that is gone already is a success."""
        raise NotImplementedError


def _chance(seed: bytes, digits: int) -> str:
    # The engine gives a seed, so that the preview's name is the update's.
    return hashlib.sha256(seed).hexdigest()[:digits] if seed else secrets.token_hex(digits)[:digits]
