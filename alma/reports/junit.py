"""A report as JUnit's XML, which CI servers show as tests: one case a step."""

from __future__ import annotations

import re
from typing import Final
from xml.etree import ElementTree as ET

from alma.reports import text
from alma.reports.run_report import Report, ReportFailure, ReportLeftover, ReportStep

_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML 1.0 document may hold, not even as a reference (https://www.w3.org/TR/xml/#charsets)."""


def junit(report: Report) -> str:
    """One suite: a step that is up has passed, one that failed has not, all others are skipped.

    What could not be undone, or is left behind, is an error of its step.
    """
    suite = ET.Element("testsuite", name=_clean(report.title), time=f"{report.seconds or 0:.3f}")
    if report.created_at:
        suite.set("timestamp", report.created_at.strftime("%Y-%m-%dT%H:%M:%S"))
    properties = ET.SubElement(suite, "properties")
    for name in ("run", "kind", "state"):
        ET.SubElement(properties, "property", name=name, value=_clean(getattr(report, name)))
    if report.expires_at:
        expires = report.expires_at.isoformat()
        ET.SubElement(properties, "property", name="expires_at", value=expires)
    cases = [_case(suite, report, step) for step in report.steps]
    counts = {kind: sum(case == kind for case in cases) for kind in ("failure", "error", "skipped")}
    totals = {
        "tests": str(len(cases)),
        "failures": str(counts["failure"]),
        "errors": str(counts["error"]),
        "skipped": str(counts["skipped"]),
    }
    for name, total in totals.items():
        suite.set(name, total)
    root = ET.Element("testsuites", {"name": "alma", "time": suite.get("time", "0"), **totals})
    root.append(suite)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _case(suite: ET.Element, report: Report, step: ReportStep) -> str:
    """Add the step's case; what it has come to, empty for one that passed."""
    name = _clean(step.name)
    case = ET.SubElement(
        suite, "testcase", name=name, classname=_clean(report.title), time=f"{step.seconds:.3f}"
    )
    mine = [failure for failure in report.failures if failure.step == step.name]
    left = [one for one in report.leftovers if one.step == step.name and not one.gone_by]
    undo = [failure for failure in mine if failure.undo]
    if undo or left:
        what = undo[0].message if undo else f"left behind: {left[0].reason or left[0].urn}"
        lines = [*map(_told, mine), *map(_named, left)]
        return _end(case, "error", what, "\n\n".join(lines))
    if mine:
        return _end(case, "failure", mine[0].message, "\n\n".join(map(_told, mine)), mine[0].kind)
    if step.state == "COMPLETED":
        return ""
    words = {"COMPENSATED": "undone", "PENDING": "not started"}.get(step.state, step.state)
    return _end(case, "skipped", f"{words}: {step.remark}" if step.remark else words)


def _end(case: ET.Element, kind: str, message: str, told: str = "", of: str = "") -> str:
    end = ET.SubElement(case, kind, message=_clean(text.one_line(message)))
    if of:
        end.set("type", of)
    if told:
        end.text = _clean(text.plain(told))
    return kind


def _told(failure: ReportFailure) -> str:
    lines = [f"{failure.what}:", failure.urn, failure.message, failure.hint]
    lines += [f"{end.name}:\n{end.text}" for end in failure.log_ends]
    return "\n".join(filter(None, lines))


def _named(left: ReportLeftover) -> str:
    return " ".join(filter(None, ("left behind:", left.urn, left.id, left.reason)))


def _clean(words: str) -> str:
    return _NOT_XML.sub("\ufffd", words)
