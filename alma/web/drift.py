"""What the looks at drift have found last of each step, and since when it is so."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from alma.reports.drift import of_step
from alma.runner.observing import seen, since
from alma.web.site import Site

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from alma.journal import Journal
    from alma.journal.rows import ObservationRow
    from alma.runner.step_drift import StepDrift


class Step(Struct, frozen=True, kw_only=True):
    """A step by the last look that was at it: in a line, then what has drifted of it."""

    verdict: str
    at: datetime
    head: str
    lines: list[str]


class Looked(Struct, frozen=True, kw_only=True):
    """A target; `later` is a run that came after the last look."""

    target: str
    at: datetime
    run: str
    later: str
    steps: list[Step]


def page(site: Site, request: Request) -> Response:
    """`/drift`, of one target with `?target=`."""
    target = request.query_params.get("target") or None
    with site.open() as journal:
        rows: dict[str, list[ObservationRow]] = {}
        for row in journal.observations(target):
            rows.setdefault(row.target, []).append(row)
        found = [_looked(journal, name, of) for name, of in rows.items()]
    found.sort(key=lambda one: one.at, reverse=True)
    return site.page("drift.html", title="Drift", found=found, target=target)


def _looked(journal: Journal, target: str, rows: list[ObservationRow]) -> Looked:
    """A look may have been at some steps only: of each the newest counts."""
    first, last = since(rows), rows[-1]
    newest = {row.step: row for row in rows}
    runs = journal.runs(limit=1, target=target)
    return Looked(
        target=target,
        at=datetime.fromisoformat(last.at),
        run=last.run,
        later=runs[0].run if runs and runs[0].created_at > last.at else "",
        steps=[_step(row, seen(row, first)) for row in newest.values()],
    )


def _step(row: ObservationRow, found: StepDrift) -> Step:
    head, *lines = of_step(found)
    return Step(
        verdict=found.verdict,
        at=datetime.fromisoformat(row.at),
        head=head,
        lines=[line[2:] for line in lines],
    )
