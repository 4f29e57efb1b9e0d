"""What is not any more as a step has left it: by resource and property, without any secret."""

from __future__ import annotations

from typing import Any, Final, Literal

from msgspec import UNSET, Struct, UnsetType

from alma.core.events import Failure

MASK: Final = "[secret]"

Verdict = Literal["none", "drifted", "unknown", "unasked", "absent"]
"""`unknown`: it was asked and could not be told; `unasked`: this kind of step has no way to be
asked; `absent`: by the journal there is nothing of it."""


class PropertyDrift(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One property. Of a secret only that it differs is known: both are `[secret]`."""

    path: str
    was: Any | UnsetType = UNSET
    """UNSET where it was not there."""
    now: Any | UnsetType = UNSET


class ResourceDrift(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One resource: `op` is what has happened to it, `update` or `delete`.

    `missing` is a whole stack whose record is gone, and `create` what was not there.
    """

    urn: str
    op: str
    id: str = ""
    type: str = ""
    properties: tuple[PropertyDrift, ...] = ()
    why: str = ""
    """What else is to be known of it."""
    stays: bool = False
    """An `up` would take what is there by now for what is to be: the engine sees no difference."""


class Drift(Struct, frozen=True, kw_only=True):
    """Of one step. With a `failure` it could not be asked, or not as a whole.

    `unasked` are resources that nobody could ask about, with why: of them nothing is known.
    """

    resources: tuple[ResourceDrift, ...] = ()
    unasked: tuple[tuple[str, str], ...] = ()
    failure: Failure | None = None
    absent: bool = False
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Never `none` over what could not be asked."""
        if self.resources:
            return "drifted"
        if self.failure is not None or self.unasked:
            return "unknown"
        return "absent" if self.absent else "none"
