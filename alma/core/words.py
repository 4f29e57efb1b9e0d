"""An operator's words about a run, as events: each with who has said it, and why.

`gc=False` as in `alma.core.events`.
"""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec import Struct

from alma.core.event import Event


class Expiry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """When what is there may be taken down: `at` is ISO 8601, in UTC; None: it stays.

    `of` is the run that has said it, where a later one has taken it over. `existing`: somebody has
    said that it is true as well of what was there before the saga.
    """

    at: str | None = None
    of: str = ""
    existing: bool = False

    @property
    def moment(self) -> datetime | None:
        """The same as a time; ValueError for what is none."""
        if self.at is None:
            return None
        at = datetime.fromisoformat(self.at)
        if at.tzinfo is None:
            raise ValueError(f"{self.at!r} has no time zone")
        return at.astimezone(UTC)

    @classmethod
    def when(cls, at: datetime | None, *, existing: bool = False) -> Expiry:
        """At this moment, to the second."""
        text = None if at is None else at.astimezone(UTC).isoformat(timespec="seconds")
        return cls(at=text, existing=existing)


class RunExtended(Event, frozen=True, kw_only=True, gc=False):
    """Somebody has said anew when what the run has left may be taken down, or that it stays."""

    expiry: Expiry
    actor: str
    reason: str
    step: str = ""


class HostDeclaredGone(Event, frozen=True, kw_only=True, gc=False):
    """An operator's word: this host and all its processes are gone, which is not seen from here."""

    host: str
    """As `Process.host`."""
    actor: str
    reason: str
    step: str = ""


class StepSkipped(Event, frozen=True, kw_only=True, gc=False):
    """An operator lets the undo go past this step; StepRetained follows and names what is left."""

    step: str
    actor: str
    reason: str


class RunAbandoned(Event, frozen=True, kw_only=True, gc=False):
    """An operator gives the run up; RunFailed follows and names what is left."""

    actor: str
    reason: str
    step: str = ""
