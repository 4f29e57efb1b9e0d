"""Deliveries as rows: what is owed when an event is written, and what has come of it.

Several processes may try at once: a row is only ever put in the place of the very row that was
seen, so one of them has it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from alma.core.events import Recorded
from alma.journal.rows import DeliveryRow
from alma.journal.store import Writer, to_stamp

OPEN: Final = "open"
DELIVERED: Final = "delivered"
GIVEN_UP: Final = "given up"


def owed_for(entry: Recorded, due: Iterable[tuple[str, str]]) -> list[DeliveryRow]:
    """The rows of an event that `due` says: a notifier's name and its notice each."""
    at = to_stamp(entry.at)
    return [
        DeliveryRow(
            run=entry.run,
            seq=entry.seq,
            notifier=notifier,
            notice=notice,
            due_at=at,
            state=OPEN,
            attempts=0,
            tried_at="",
            not_before=at,
            error="",
        )
        for notifier, notice in due
    ]


def swapped(writer: Writer, before: DeliveryRow | None, after: DeliveryRow) -> bool:
    """Put `after` in the place of `before`, None for nothing, if that is there."""
    key = after[:4]
    found = next((row for row in writer.deliveries(after.run) if row[:4] == key), None)
    if found != before:
        return False
    writer.put_delivery(after)
    return True
