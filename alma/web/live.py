"""A run as it goes on: its events to whoever watches, as they come (server-sent events)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from alma.errors import JournalError
from alma.journal.reading import view_run
from alma.reports.summary import is_progress
from alma.web.run import FINAL, Told, told
from alma.web.site import Site

if TYPE_CHECKING:
    from starlette.requests import Request

    from alma.core.events import Recorded

PAUSE: Final = 0.5
"""Seconds between two looks at the journal."""
QUIET: Final = 30
"""Looks with nothing to tell, after which a sign of life is sent: who has gone is noticed so."""


class Seen(Struct, frozen=True, kw_only=True):
    """What a look has found: the events that are new, and how the run stands."""

    events: list[Recorded] = []
    state: str = ""
    """Empty where nothing has changed."""
    held: bool = False
    over: bool = False


async def stream(site: Site, request: Request) -> Response:
    """`/runs/RUN/events`: `progress` for each event, `state` where that changes, `end`."""
    run = request.path_params["run"]
    after = request.headers.get("last-event-id") or request.query_params.get("after", "")
    seq = int(after) if after.isascii() and after.isdigit() else 0
    seen = await run_in_threadpool(_look, site, run, seq, None)
    return StreamingResponse(
        _told(site, run, seq, seen),
        media_type="text/event-stream",
        headers={"x-accel-buffering": "no"},  # nginx would keep them until there are many
    )


async def _told(site: Site, run: str, seq: int, seen: Seen) -> AsyncIterator[str]:
    state, held, quiet = "", seen.held, 0
    yield "retry: 2000\n\n"
    while not site.closing.is_set():
        quiet += 1
        for entry in seen.events:
            seq, quiet = entry.seq, 0
            yield _message("progress", told(entry), seq, shown=is_progress(entry.event))
        if seen.state not in ("", state):
            state, quiet = seen.state, 0
            yield _message("state", {"state": state})
        if seen.over:
            yield _message("end", {"state": state})
            return
        if quiet == QUIET:
            quiet = 0
            yield ": still here\n\n"
        held = seen.held
        with suppress(TimeoutError):
            await asyncio.wait_for(site.closing.wait(), PAUSE)
        try:
            seen = await run_in_threadpool(_look, site, run, seq, held)
        except JournalError:  # a server that is away for a moment comes back
            seen = Seen(held=held)


def _look(site: Site, run: str, after: int, held: bool | None) -> Seen:  # noqa: FBT001
    """What came after an event; how the run stands only where that may have changed."""
    with site.open() as journal:
        target = journal.run(run).target
        events, now = journal.events(run, after), journal.is_held(target)
        if not events and now == held:
            return Seen(held=now)
        view = view_run(journal, run)
    # An event that has come between the two is told by the next look.
    over = view.run.state.name in FINAL and view.run.seq == (events[-1].seq if events else after)
    return Seen(events=events, state=view.state, held=now, over=over)


def _message(kind: str, data: Told | dict[str, Any], seq: int = 0, **more: Any) -> str:
    """As JSON on one line, so that nothing of it can be another message."""
    fields = {**msgspec.to_builtins(data), **more}
    number = f"id: {seq}\n" if seq else ""
    return f"{number}event: {kind}\ndata: {msgspec.json.encode(fields).decode()}\n\n"
