"""Notices that were not delivered: as JSON, and in words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from alma.journal.rows import DeliveryRow
from alma.reports import text


def documents(rows: Iterable[DeliveryRow]) -> list[dict[str, Any]]:
    """Of `notices`, and within `status`: each delivery, without secrets."""
    return [
        {**row._asdict(), "tried_at": row.tried_at or None, "not_before": row.not_before or None}
        for row in rows
    ]


def lines(rows: Iterable[DeliveryRow]) -> list[str]:
    """Within `status`."""
    return [
        f"  {row.notice} to {row.notifier}: {row.state}, {text.count(row.attempts, 'attempt')}"
        + (f": {row.error}" if row.error else "")
        for row in rows
    ]
