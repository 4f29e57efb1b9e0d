"""What a RUN of a command line may mean: why it means none, or more than one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from alma.core.events import Recorded, RunCreated
from alma.errors import RunNotFoundError

SHOWN: Final = 5
"""How many ids a RunNotFoundError names."""


def is_part(events: Iterable[Recorded]) -> bool:
    """Whether these are of a run that is a part of another one: `latest` never means it."""
    first = next((entry.event for entry in events), None)
    return isinstance(first, RunCreated) and bool(first.parent)


def not_found(
    journal: str, reference: str, found: Sequence[str], newest: Sequence[str]
) -> RunNotFoundError:
    """Where none fits, or several."""
    if not found:
        return RunNotFoundError(
            f"There is no run {reference!r} in {journal}.",
            hint=f"The newest are: {', '.join(newest)}.",
        )
    more = ", ..." if len(found) > SHOWN else ""
    return RunNotFoundError(
        f"{reference!r} fits several runs: {', '.join(found[:SHOWN])}{more}.",
        hint="Give more of the id.",
    )
