"""A report for a pull request's comment or a job's page: short first, details folded."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from alma.reports import text
from alma.reports.run_report import Report, ReportFailure, ReportLeftover

_MARKUP: Final = re.compile(r"[\\`*_{}\[\]<>()#|~@&:$]")
"""What Markdown, GitHub's and GitLab's additions (mentions, references) or HTML read as theirs."""


def markdown(report: Report) -> str:
    """The report as one Markdown text that ends with a line's end."""
    return "\n".join([*_head(report), *_steps(report), *_left(report), *_folded(report), ""])


def escaped(words: str) -> str:
    """As text, whatever is in it: on one line, and without any markup of its own."""
    line = text.name(words).replace("\t", " ")
    return _MARKUP.sub(lambda found: f"&#{ord(found[0])};", line)


def _head(report: Report) -> Iterator[str]:
    state = report.state + (" (interrupted)" if report.interrupted else "")
    yield f"### {escaped(report.title)}: {state}"
    yield ""
    took = f" It took {text.duration(report.seconds)}." if report.seconds is not None else ""
    goes = f" It expires {text.moment(report.expires_at)}." if report.expires_at else ""
    yield (
        f"{escaped(report.sentence)}{took} Run {_code(report.run)} ({escaped(report.kind)}).{goes}"
    )
    yield ""


def _steps(report: Report) -> Iterator[str]:
    yield "| step | state | time | changes | |"
    yield "| --- | --- | --- | --- | --- |"
    for step in report.steps:
        cells = (
            step.name,
            step.state,
            text.duration(step.seconds) if step.seconds else "",
            text.changes(step.changes),
            step.remark,
        )
        yield f"| {' | '.join(map(escaped, cells))} |"
    if report.not_selected:
        yield ""
        yield f"Not selected: {escaped(', '.join(report.not_selected))}."
    yield ""


def _left(report: Report) -> Iterator[str]:
    """Never folded: what is left is what a reader must see."""
    if report.leftovers:
        yield "**Left behind:**"
        yield ""
        yield from map(_leftover, report.leftovers)
        yield ""
    if report.next:
        yield "Go on with:"
        yield ""
        yield from _fenced("\n".join(report.next))
        yield ""


def _leftover(left: ReportLeftover) -> str:
    where = f" (stack {escaped(left.stack)})" if left.stack else ""
    what = f": {escaped(text.resource(left.urn))}" if left.urn else ""
    named = f", id {escaped(left.id)}" if left.id else ""
    why = f". {escaped(text.one_line(left.reason))}" if left.reason else ""
    gone = f" Gone by now: run {escaped(left.gone_by)} has verified it." if left.gone_by else ""
    return f"- {escaped(left.step)}{where}{what}{named}{why}{gone}"


def _folded(report: Report) -> Iterator[str]:
    for failure in report.failures:
        yield from _details(f"Step {failure.step} {failure.what}", [*_fenced(_told(failure))])
    notes = [*report.notes, *(f"{s.name}: {w}" for s in report.steps for w in s.warnings)]
    if notes:
        yield from _details(text.count(len(notes), "warning"), [f"- {escaped(n)}" for n in notes])
    outputs = [
        f"- {escaped(f'{step}.{name}')} = {escaped(text.cut(_value(value), 300))}"
        for step, values in report.outputs.items()
        for name, value in values.items()
    ]
    if outputs:
        yield from _details(text.count(len(outputs), "output"), outputs)


def _told(failure: ReportFailure) -> str:
    lines = [text.resource(failure.urn)] if failure.urn else []
    lines += text.block(failure.message, "", most=40)
    lines += text.block(f"hint: {failure.hint}", "") if failure.hint else []
    for end in failure.log_ends:
        lines += ["", f"the end of {text.name(end.name)}:"]
        lines += text.block(end.text, "  ", most=40)
    return "\n".join(lines)


def _details(title: str, lines: list[str]) -> Iterator[str]:
    yield f"<details><summary>{escaped(title)}</summary>"
    yield ""
    yield from lines
    yield ""
    yield "</details>"
    yield ""


def _fenced(words: str) -> list[str]:
    """A block of text: its fence is longer than any in it."""
    longest = max((len(run) for run in re.findall("`+", words)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", text.plain(words), fence]


def _code(words: str) -> str:
    return f"<code>{escaped(words)}</code>"


def _value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
