"""What is owed, delivered: at least once, by one process at a time, again until it has arrived.

A row of the journal says how a delivery stands. Who tries one takes it first, for longer than an
attempt lasts: if that process dies, another one takes it after that time.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct, field

from alma.core.event_parts import Notifier
from alma.core.notice import named
from alma.core.redaction import Redactor
from alma.core.secret import Secret
from alma.errors import JournalError
from alma.journal import Journal
from alma.journal.deliveries import DELIVERED, GIVEN_UP, OPEN, owed_for
from alma.journal.journal import utc_now
from alma.journal.reading import load_run
from alma.journal.rows import DeliveryRow
from alma.journal.store import from_stamp, to_stamp
from alma.runner.notices.payload import notice_for
from alma.runner.notices.sending import (
    SECONDS,
    Address,
    Outcome,
    UnknownAddressError,
    address_of,
    secrets_of,
    send,
)
from alma.saga.notify import Held
from alma.system.environment import secrets_in_environment

LEASE: Final = SECONDS + 50.0
"""Seconds that a delivery is in one process's hand: more than an attempt takes."""
_FIRST: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
"""Seconds before the second attempt, twice as many before each further one, up to this."""
_LONGEST_WAIT: Final = 3600.0
"""... or what the other side asks for, up to this."""
KEPT_UP: Final = timedelta(days=3)
"""After this long an attempt that fails is the last one."""
_RUNS: Final = 200
"""The newest runs among which one may be whose runner has died."""


class Post(Struct, frozen=True, kw_only=True):
    """Who delivers: `held` are secrets of this process's own saga, by target and notifier.

    `programs` are the targets whose commands are run; None: of all.
    """

    held: Mapping[tuple[str, str], Held] = field(default_factory=dict)
    programs: frozenset[str] | None = None
    again: bool = False
    """Also what waits for its next attempt."""
    enough: Callable[[], bool] = lambda: False
    """Whether nothing more is to be begun."""


async def deliver(journal: Journal, post: Post) -> float | None:
    """Try what is owed and not in anybody's hand; seconds until something is next, if anything.

    Where one attempt fails, the others to the same place wait for the next time.
    """
    lines: dict[str, list[tuple[DeliveryRow, Address, str]]] = {}
    now = utc_now()
    for row in journal.deliveries(still_open=True):
        if _in_hand(row, now) or not (post.again or from_stamp(row.not_before) <= now):
            continue
        found = _addressed(journal, post, row)
        if found is not None:
            place, address, directory = found
            lines.setdefault(place, []).append((row, address, directory))
    await asyncio.gather(*(_deliver_line(journal, post, line) for line in lines.values()))
    return _next(journal)


async def _deliver_line(
    journal: Journal, post: Post, line: Iterable[tuple[DeliveryRow, Address, str]]
) -> None:
    for row, address, directory in line:
        if post.enough():
            return
        now = utc_now()
        taken = row._replace(
            attempts=row.attempts + 1,
            tried_at=to_stamp(now),
            not_before=to_stamp(now + timedelta(seconds=LEASE)),
            error="",
        )
        if not journal.put_delivery(row, taken):
            continue  # somebody else has it
        outcome = Outcome(error="its run cannot be read")
        try:
            notice = notice_for(row, journal.events(row.run))
        except (JournalError, ValueError, LookupError):
            pass
        else:
            outcome = await send(address, notice, directory)
        if not _settle(journal, taken, outcome, address):
            return


def _settle(journal: Journal, taken: DeliveryRow, outcome: Outcome, address: Address) -> bool:
    """Note what came of it; whether it was delivered."""
    now = utc_now()
    if not outcome.error:
        done = taken._replace(state=DELIVERED, not_before="")
        if not journal.put_delivery(taken, done):
            _note_late(journal, done)
        return True
    redact = Redactor()
    redact.learn([*secrets_of(address), *secrets_in_environment(os.environ)])
    late = now - from_stamp(taken.due_at) > KEPT_UP
    pause = min(_FIRST * 2 ** min(taken.attempts - 1, 30), _LONGEST_PAUSE)
    pause = max(pause, min(outcome.wait, _LONGEST_WAIT))
    failed = taken._replace(
        state=GIVEN_UP if outcome.gone or late else OPEN,
        not_before=to_stamp(now + timedelta(seconds=pause)),
        error=redact(outcome.error)[:500],
    )
    journal.put_delivery(taken, failed)
    return False


def _note_late(journal: Journal, done: DeliveryRow) -> None:
    """Delivered, after somebody else had taken it for lost: it needs no further attempt."""
    for row in journal.deliveries(done.run, still_open=True):
        if row[:4] == done[:4]:
            journal.put_delivery(row, row._replace(state=DELIVERED, not_before="", error=""))


def _addressed(journal: Journal, post: Post, row: DeliveryRow) -> tuple[str, Address, str] | None:
    """Where it goes, as a key and in full, and the run's directory. None: it is not known here."""
    try:
        run = load_run(journal, row.run)
    except (JournalError, ValueError, LookupError):
        return None
    notifier: Notifier | None = named(run.notify).get(row.notifier)
    target = run.definition.target
    if notifier is None:
        return None
    runs_program = "argv" in notifier.settings
    if runs_program and post.programs is not None and target not in post.programs:
        return None
    held: Mapping[str, Secret] = post.held.get((target, notifier.name), {})
    try:
        address = address_of(notifier, held, os.environ)
    except UnknownAddressError as error:
        if row.error != str(error):
            journal.put_delivery(row, row._replace(error=str(error)))
        return None
    return f"{address.kind} {address.url} {address.argv}", address, run.directory


def _in_hand(row: DeliveryRow, now: datetime) -> bool:
    """Somebody tries it, or has died while trying it, and not long ago."""
    return row.attempts > 0 and not row.error and from_stamp(row.not_before) > now


def _next(journal: Journal) -> float | None:
    rows = journal.deliveries(still_open=True)
    now = utc_now()
    waits = [(from_stamp(row.not_before) - now).total_seconds() for row in rows]
    # What is due and was not tried waits for an address, which does not come by waiting.
    return min((max(wait, 0.2) for wait in waits if wait > 0), default=None)


def note_dead(journal: Journal) -> None:
    """Owe `interrupted` for runs whose runner has died: no event of theirs says so."""
    seen = set()
    for listed in journal.runs(limit=_RUNS):
        if listed.target in seen:
            continue
        seen.add(listed.target)
        if journal.is_held(listed.target):
            continue  # asked before: whoever has it now may have ended before the run is read
        try:
            run = load_run(journal, listed.run)
        except (JournalError, ValueError, LookupError):
            continue
        wanted = [one.name for one in run.notify if "interrupted" in one.on]
        # Temporal has one that it drives go on, by another worker where one has died.
        if not wanted or run.state.is_final or run.suspended or run.served is not None:
            continue
        last = journal.events(listed.run)[-1]
        if last.seq != run.seq:
            continue  # somebody has taken it up
        for row in owed_for(last, ((name, "interrupted") for name in wanted)):
            journal.put_delivery(None, row)
