"""An approval: a plan that is put to named people, and what one of them has said.

As events, and as they are folded. `gc=False` as in `alma.core.events`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from alma.core.event import Event


class Planned(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """What one step that comes after an approval would do."""

    step: str
    what: str = ""
    changes: Mapping[str, int] | None = None
    """None where that is known only once it runs."""
    unknown: tuple[str, ...] = ()
    """The inputs (`database.url`) that only the run itself can know."""
    error: str = ""
    """Why it could not be foreseen."""


class Plan(Struct, frozen=True, kw_only=True):
    """What the steps that come after an approval would do.

    `digest` is of their definitions, of what they are given (secrets too, under the journal's
    key) and of what would change: the same as long as all of that is.
    """

    digest: str
    steps: tuple[Planned, ...]


class ApprovalAsked(Event, frozen=True, kw_only=True, gc=False):
    """The run waits at this step until one of `approvers` says yes or no to the plan.

    Where the same plan had been asked about before, `timeout` (seconds) counts from then.
    """

    step: str
    digest: str
    approvers: tuple[str, ...]
    timeout: int | float | None = None
    plan: tuple[Planned, ...] = ()


class ApprovalAnswered(Event, frozen=True, kw_only=True, gc=False):
    """Somebody has approved the plan of this digest, or refused it: under which name, and why."""

    step: str
    digest: str
    approved: bool
    name: str
    actor: str
    reason: str


class Approval(Struct, frozen=True, kw_only=True, gc=False):
    """How the approval of a step stands: what was asked last, since when, and the answer to it."""

    asked: ApprovalAsked
    since: datetime
    answer: ApprovalAnswered | None = None

    @property
    def until(self) -> datetime | None:
        """When it times out; None for never."""
        if self.asked.timeout is None:
            return None
        return self.since + timedelta(seconds=self.asked.timeout)

    def is_late(self, now: datetime) -> bool:
        """Whether an answer would come too late."""
        return self.until is not None and now >= self.until

    def and_asked(self, event: ApprovalAsked) -> Approval:
        """Asked again about the same plan: since when it was asked stays."""
        return Approval(asked=event, since=self.since)


def either(names: Sequence[str]) -> str:
    """`jane`, `jane or joe`, `jane, joe or ops`."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
