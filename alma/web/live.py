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

from alma.errors import AlmaError, JournalError
from alma.journal.reading import view_run
from alma.reports.summary import is_progress
from alma.web.run import FINAL, Told, told
from alma.web.site import Site, number

if TYPE_CHECKING:
    from starlette.requests import Request

    from alma.core.events import Recorded
    from alma.journal import Journal

PAUSE: Final = 0.5
"""Seconds between two looks at the journal."""
QUIET: Final = 30
"""Looks with nothing to tell, after which a sign of life is sent: who has gone is noticed so."""


class Seen(Struct, frozen=True, kw_only=True):
    """What a look has found: the events that are new, and how the run stands."""

    events: list[Recorded] = []
    state: str = ""
    """Empty where nothing has changed."""
    over: bool = False


class Watch:
    """Looks at a run again and again, over one connection as long as that lasts."""

    def __init__(self, site: Site, run: str, after: int) -> None:
        self._site, self._run, self._after = site, run, after
        self._journal: Journal | None = None
        self._held: bool | None = None

    def look(self) -> Seen:
        """What came since the last look; how the run stands only where that may have changed."""
        journal = self._journal = self._journal or self._site.open()
        try:
            target = journal.run(self._run).target
            events, held = journal.events(self._run, self._after), journal.is_held(target)
            if not events and held == self._held:
                return Seen()
            view = view_run(journal, self._run)
        except AlmaError:
            self.close()
            raise
        self._held = held
        if events:
            self._after = events[-1].seq
        # What has come between the two is told by the next look.
        over = view.run.state.name in FINAL and view.run.seq <= self._after
        return Seen(events=events, state=view.state, over=over)

    def close(self) -> None:
        """Let go of the journal."""
        if self._journal is not None:
            self._journal.close()
        self._journal = None


async def stream(site: Site, request: Request) -> Response:
    """`/runs/RUN/events`: `progress` for each event, `state` where that changes, `end`."""
    query = request.query_params.get("after", "")
    after = number(request.headers.get("last-event-id") or query)
    watch = Watch(site, request.path_params["run"], after or 0)
    seen = await run_in_threadpool(watch.look)
    return StreamingResponse(
        _told(site, watch, seen),
        media_type="text/event-stream",
        headers={"x-accel-buffering": "no"},  # nginx would keep them until there are many
    )


async def _told(site: Site, watch: Watch, seen: Seen) -> AsyncIterator[str]:
    state, quiet = "", 0
    try:
        yield "retry: 2000\n\n"
        while not site.closing.is_set():
            quiet = 0 if seen.events or seen.state else quiet + 1
            for entry in seen.events:
                yield _message("progress", told(entry), entry.seq, shown=is_progress(entry.event))
            if seen.state not in ("", state):
                state = seen.state
                yield _message("state", {"state": state})
            if seen.over:
                yield _message("end", {"state": state})
                return
            if quiet == QUIET:
                quiet = 0
                yield ": still here\n\n"
            with suppress(TimeoutError):
                await asyncio.wait_for(site.closing.wait(), PAUSE)
            seen = Seen()
            with suppress(JournalError):  # a server that is away for a moment comes back
                seen = await run_in_threadpool(watch.look)
    finally:
        watch.close()


def _message(kind: str, data: Told | dict[str, Any], seq: int = 0, **more: Any) -> str:
    """As JSON on one line, so that nothing of it can be another message."""
    fields = {**msgspec.to_builtins(data), **more}
    number = f"id: {seq}\n" if seq else ""
    return f"{number}event: {kind}\ndata: {msgspec.json.encode(fields).decode()}\n\n"
