"""One run: how it stands, its graph, its time line, its events, what is left, what is next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from msgspec import Struct
from starlette.responses import RedirectResponse, Response

from alma.reports import approvals, expiry, standing, untold
from alma.reports.page import parts
from alma.reports.summary import summarize
from alma.runner.apart import outputs
from alma.web import actions
from alma.web.site import Site

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.requests import Request

    from alma.core.events import Recorded
    from alma.journal.reading import RunView

FINAL: Final = ("COMPLETED", "COMPENSATED")
"""From where no run goes on."""
EVENTS: Final = 300
"""Of a run with more the last ones are shown, until all are asked for."""


class Told(Struct, frozen=True, kw_only=True):
    """An event in words."""

    seq: int
    at: datetime
    step: str
    type: str
    words: str


class Part(Struct, frozen=True, kw_only=True):
    """A run that is a part of this one."""

    run: str
    target: str
    name: str


def page(site: Site, request: Request) -> Response:
    """`/runs/RUN`; a beginning of an id, or `latest`, leads to the run that it means."""
    said = request.path_params["run"]
    query = request.query_params
    every = query.get("events") == "all"
    with site.open() as journal:
        run = journal.resolve(said)
        if run != said:
            rest = f"?{request.url.query}" if request.url.query else ""
            return RedirectResponse(f"/runs/{quote(run, safe='')}{rest}", 303)
        found = standing.look(journal, run, site.told)
        events = journal.events(run)
        report = standing.read_report(found, events)
        said, expires = outputs(journal, found.view), expiry.now(journal, found.view.run)
    view = found.view
    shown = events if every else events[-EVENTS:]
    return site.page(
        "run.html",
        title=f"{report.title}: {view.state}",
        **parts(report, view.run.definition),
        view=view,
        expires=expires,
        waiting=approvals.waiting(view.run),
        untold=untold.lines(found.untold),
        within=list(_within(view)),
        events=[told(entry) for entry in reversed(shown)],
        hidden=len(events) - len(shown),
        offers=actions.offered(view) if site.actions else [],
        apart=said,
        done=done.done if (done := actions.ACTIONS.get(query.get("done", ""))) else "",
        watched=view.run.state.name not in FINAL,
    )


def told(entry: Recorded) -> Told:
    """An event as a page shows it."""
    event = entry.event
    words = summarize(event)
    return Told(seq=entry.seq, at=entry.at, step=event.step, type=event.type, words=words)


def _within(view: RunView) -> list[Part]:
    return [
        Part(run=child.run, target=child.target, name=f"{step.name}[{item}]" if item else step.name)
        for step in view.run.steps.values()
        for item, child in step.children.items()
    ]
