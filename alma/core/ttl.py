"""How long what a run brings up is to stay: as it is written, and when that is over. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from alma.errors import DefinitionError

NONE: Final = "none"
"""Said in the place of a time: it stays until somebody takes it down."""

Ttl = timedelta | Literal["none"]

_UNITS: Final = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_FORM: Final = re.compile(r"(?:[0-9]+[wdhms])+")
_PART: Final = re.compile(r"([0-9]+)([wdhms])")
_MOST: Final = timedelta(days=3660)
_HINT: Final = 'Write it like "30m", "4h", "2d" or "1d12h", or "none" to lift one.'


def read_ttl(what: str, said: object) -> Ttl:
    """A time from what was written; DefinitionError, in one sentence, for what is none.

    `what` is who says it, for the words of that.
    """
    if said == NONE:
        return NONE
    if isinstance(said, timedelta):
        found, shown = said, str(said)
    elif isinstance(said, str) and _FORM.fullmatch(said.strip().lower()):
        found, shown = _sum(said.strip().lower()), said
    else:
        raise DefinitionError(f"{what} cannot be {said!r}: that is no time.", hint=_HINT)
    if not timedelta(0) < found <= _MOST:
        raise DefinitionError(
            f"{what} must be more than nothing and at most 10 years, not {shown}.", hint=_HINT
        )
    return found


def read_until(what: str, said: str) -> datetime:
    """A moment in ISO 8601, with its zone; DefinitionError for what is none."""
    hint = 'Write it like "2026-12-01T18:00Z" or "2026-12-01T18:00+01:00".'
    try:
        at = datetime.fromisoformat(said.strip())
    except ValueError as error:
        raise DefinitionError(
            f"{what} cannot be {said!r}: that is no moment.", hint=hint
        ) from error
    if at.tzinfo is None:
        raise DefinitionError(f"{what} needs a time zone: {said!r} has none.", hint=hint)
    return at.astimezone(UTC)


def later(at: datetime, ttl: timedelta) -> datetime:
    """That time after a moment."""
    try:
        return at + ttl
    except OverflowError as error:
        raise DefinitionError(f"{ttl} after {at:%Y-%m-%d} is after all time.") from error


def _sum(text: str) -> timedelta:
    total = timedelta(0)
    try:
        for count, unit in _PART.findall(text):
            total += timedelta(**{_UNITS[unit]: int(count)})
    except (OverflowError, ValueError):
        return timedelta.max
    return total
