"""The list of runs, newest first, as far as they are asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from alma.journal.listing import STATES, is_in, rows_of, stack_of
from alma.journal.reading import view_run
from alma.reports import report
from alma.reports.expiry import still
from alma.web.site import Site, number

if TYPE_CHECKING:
    from starlette.datastructures import QueryParams
    from starlette.requests import Request
    from starlette.responses import Response

    from alma.journal import Journal
    from alma.journal.reading import RunView
    from alma.journal.rows import RunRow

PAGE: Final = 50
LOOKED_AT: Final = 500
"""Runs that are read for one page: to know how a run stands, its events are read."""


class Listed(Struct, frozen=True, kw_only=True):
    """A line of the list."""

    view: RunView
    seconds: float | None
    waiting: int
    expires: str


class Filter(Struct, frozen=True, kw_only=True):
    """Which runs: what the query of the page says. None and empty mean any."""

    saga: str | None
    stack: str | None
    state: str | None
    text: str
    before: int | None

    @classmethod
    def of(cls, query: QueryParams) -> Filter:
        """What is no state is none that a run is in, and is not asked for."""
        state, before = query.get("state", "").upper(), query.get("before", "")
        return cls(
            saga=query.get("saga") or None,
            stack=query.get("stack") or None,
            state=state if state in STATES else None,
            text=query.get("text", "").strip().lower(),
            before=number(before),
        )

    @property
    def said(self) -> dict[str, str]:
        """As a query, for the link to the next page."""
        said = {"saga": self.saga, "stack": self.stack, "state": self.state, "text": self.text}
        return {name: value for name, value in said.items() if value}


def page(site: Site, request: Request) -> Response:
    """`/`."""
    wanted = Filter.of(request.query_params)
    with site.open() as journal:
        rows = journal.runs(limit=None)
        views, older = _found(journal, wanted)
        when = still(journal, views)
    found = [_listed(view, when.get(view.run.run, "")) for view in views]
    return site.page(
        "runs.html",
        title="Runs",
        runs=found,
        older=older,
        wanted=wanted,
        sagas=sorted({row.saga for row in rows}),
        stacks=sorted({stack_of(row) for row in rows}),
        states=STATES,
        any_at_all=bool(rows),
        any_expires=any(one.expires for one in found),
    )


def _found(journal: Journal, wanted: Filter) -> tuple[list[RunView], int | None]:
    """The runs of one page, and where the next one begins, where there may be more."""
    found: list[RunView] = []
    for looked, row in enumerate(_rows(journal, wanted)):
        if len(found) == PAGE or looked == LOOKED_AT:
            return found, row.position + 1
        view = view_run(journal, row.run)
        if is_in(view, wanted.state) and wanted.text in _words(view):
            found.append(view)
    return found, None


def _listed(view: RunView, when: str) -> Listed:
    run = view.run
    return Listed(view=view, seconds=report.seconds(run), waiting=len(run.waiting), expires=when)


def _rows(journal: Journal, wanted: Filter) -> Iterator[RunRow]:
    for row in rows_of(journal, wanted.saga, wanted.stack):
        if wanted.before is None or row.position < wanted.before:
            yield row


def _words(view: RunView) -> str:
    """What a text is looked for in: names, parameters, and why something failed."""
    run = view.run
    failures = [words for _, words in report.told_failures(run)]
    parameters = json.dumps(run.parameters, ensure_ascii=False) if run.parameters else ""
    words = (run.run, run.definition.target, run.kind, run.reason, parameters)
    return "\n".join([*words, *run.steps, *failures]).lower()
