"""A report as a page: one file that needs no network, and no script.

Its parts are in `templates/parts.html`, its look in `templates/style.css`: other pages about runs
are made of them too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from msgspec import Struct

from alma.core.definition import Definition
from alma.errors import AlmaError
from alma.reports import text
from alma.reports.graph import svg
from alma.reports.run_report import Report, ReportOperation

if TYPE_CHECKING:
    from jinja2 import Environment


class Bar(Struct, frozen=True, kw_only=True):
    """An operation on the time line: where it begins and how long it is, in percent of all."""

    operation: ReportOperation
    left: float
    width: float
    took: str


def page(report: Report, definition: Definition) -> str:
    """The page as HTML; AlmaError where the library that makes it is missing."""
    return environment().get_template("run.html").render(**parts(report, definition))


def parts(report: Report, definition: Definition) -> dict[str, Any]:
    """What the templates' parts are given of a run."""
    states = {step.name: step.state for step in report.steps}
    return {
        "report": report,
        "bars": bars(report.operations, report.ended_at),
        "graph": svg(definition, states.keys(), states),
    }


def environment(*more: str) -> Environment:
    """What makes pages: of the templates here, and of those in `more` packages before them."""
    try:
        from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
    except ModuleNotFoundError as error:
        raise AlmaError(
            "A report as a page needs the package jinja2, which is not installed.",
            hint="pip install 'alma-pulumi[html]'",
        ) from error
    # Whatever a provider has said is data: nothing is markup that a template has not.
    made = Environment(
        loader=ChoiceLoader([PackageLoader(name) for name in (*more, "alma.reports")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "plain": text.plain,
        "name": text.name,
        "resource": text.resource,
        "duration": text.duration,
        "moment": text.moment,
        "changes": text.changes,
        "value": _value,
        "segment": partial(quote, safe=""),
    }
    return made


def bars(operations: Sequence[ReportOperation], over: datetime | None) -> list[Bar]:
    """The time line. What never ended reaches to the end of the run, or of what is known."""
    if not operations:
        return []
    first = min(one.began_at for one in operations)
    last = max([over or first, *_known(operations)])
    whole = (last - first).total_seconds() or 1.0
    found = []
    for one in operations:
        seconds = ((one.ended_at or last) - one.began_at).total_seconds()
        begin = (one.began_at - first).total_seconds()
        took = text.duration(seconds) if one.ended_at else "-"
        # What took no time is seen too, also at the very end.
        width = max(round(100 * seconds / whole, 2), 0.5)
        left = min(round(100 * begin / whole, 2), 100 - width)
        found.append(Bar(operation=one, left=left, width=width, took=took))
    return found


def _known(operations: Sequence[ReportOperation]) -> Iterator[datetime]:
    for one in operations:
        yield one.ended_at or one.began_at


def _value(value: Any) -> str:
    return text.cut(text.plain(json.dumps(value, ensure_ascii=False)), 400)
