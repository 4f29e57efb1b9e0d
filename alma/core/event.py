"""What every event of a run has. Which events there are: `alma.core.events`."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class Event(
    Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    gc=False,
    tag=True,
    tag_field="type",
):
    """The base of all events; `type` is the class's name, as the journal shows it."""

    step: str

    @property
    def type(self) -> str:
        """What happened, as the journal has it."""
        return type(self).__name__


class Recorded(Struct, frozen=True, kw_only=True, gc=False):
    """An event as the journal holds it. `seq` counts from 1 in each run, without gaps."""

    run: str
    seq: int
    at: datetime
    epoch: int
    event: Event
    hash: str = ""
