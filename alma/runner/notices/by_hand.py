"""Notices by hand: what was not delivered, tried once more by whoever asks for it."""

from __future__ import annotations

import asyncio

from alma.journal.rows import DeliveryRow
from alma.runner.notices.delivering import Post, deliver, note_dead
from alma.runner.settings import Settings


def send_now(settings: Settings) -> list[DeliveryRow]:
    """Try all that is owed, also what waits for its next attempt; what is owed after that."""
    with settings.open(write=True) as journal:
        note_dead(journal)
        asyncio.run(deliver(journal, Post(again=True)))
        return journal.deliveries(still_open=True)
