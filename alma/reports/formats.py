"""Which form a report is written in, by the end of its file's name."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import to_builtins
from msgspec.json import schema_components

from alma.core.definition import Definition
from alma.reports.run_report import SCHEMA, Report


def to_json(report: Report, _definition: Definition) -> str:
    """As JSON, in the shape that `schema` describes."""
    return json.dumps(to_builtins(report), indent=2) + "\n"


def _markdown(report: Report, _definition: Definition) -> str:
    from alma.reports.markdown import markdown

    return markdown(report)


def _junit(report: Report, _definition: Definition) -> str:
    from alma.reports.junit import junit

    return junit(report)


def _page(report: Report, definition: Definition) -> str:
    from alma.reports.page import page

    return page(report, definition)


FORMATS: Final[Mapping[str, Callable[[Report, Definition], str]]] = {
    "json": to_json,
    "md": _markdown,
    "html": _page,
    "xml": _junit,
}
"""By the end of the file's name: JSON, Markdown, a page, JUnit."""


def format_of(path: Path) -> str:
    """The form that a file's name asks for; ValueError where it asks for none of them."""
    form = path.suffix.removeprefix(".").lower()
    if form not in FORMATS:
        known = ", ".join(f".{name}" for name in FORMATS)
        raise ValueError(f"{path.name} ends with none of {known}")
    return form


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a report's JSON, made from its types."""
    (found,), components = schema_components([Report], ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA,
        "title": "A report of alma",
        **found,
        "$defs": components,
    }
