"""docs/performance.md: the parts between its marks are written anew, and the charts beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from tests.benchmarks import charts
from tests.benchmarks.results import Results, markdown
from tests.benchmarks.timeline import Timeline

DOCS = Path(__file__).parents[2] / "docs"


def draw(directory: Path, found: Results, lines: Mapping[str, Timeline]) -> list[Path]:
    """The charts of what was measured, as files; returns them."""
    directory.mkdir(parents=True, exist_ok=True)
    drawn: list[Path] = []

    def keep(name: str, text: str) -> None:
        drawn.append(directory / name)
        drawn[-1].write_text(text, encoding="utf-8")

    if found.times:
        title = "Seconds of wall clock, whole processes: median and 95% interval"
        keep("performance.svg", charts.bars(title, found.times))
    if found.curves:
        panels = [
            ("alma's own time, engine stubbed", "ms a stack", found.curves["fake stacks"]),
            ("real stacks, fresh", "s a stack", found.curves["real stacks"]),
            ("resources in one stack, fresh", "ms a resource", found.curves["resources"]),
            ("runs in the journal", "ms", found.curves["journal"]),
        ]
        keep("growth.svg", charts.growth("How cost grows", panels))
    if lines:
        keep("timeline.svg", charts.timeline("Where the time of a run goes", lines))
    return drawn


def write(found: Results, facts: Mapping[str, str]) -> None:
    """Put the tables into the page."""
    page = DOCS / "performance.md"
    text = page.read_text(encoding="utf-8")
    where = ", ".join(f"{name} {value}" for name, value in facts.items())
    for mark, lines in (
        ("facts", [f"Measured with: {where}.", *(f"\n{note}" for note in found.notes)]),
        ("ratios", markdown(found.rows)),
    ):
        body = "\n".join(lines)
        block = rf"(<!-- bench: {mark} -->\n).*?(<!-- end -->)"
        text = re.sub(
            block,
            lambda match, body=body: f"{match[1]}\n{body}\n\n{match[2]}",
            text,
            flags=re.DOTALL,
        )
    page.write_text(text, encoding="utf-8")
