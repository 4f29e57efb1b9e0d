"""What was measured, each beside its target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from tests.benchmarks.stats import Estimate, middle, ratio

Side = Literal["at most", "at least"]


@dataclass(frozen=True)
class Row:
    """A work, what is held against what, and whether the target is reached by the median."""

    work: str
    compared: str
    measured: Estimate
    unit: str = ""
    side: Side = "at most"
    target: float | None = None

    @property
    def reached(self) -> bool | None:
        """None where there is no target."""
        if self.target is None:
            return None
        if self.side == "at most":
            return self.measured.value <= self.target
        return self.measured.value >= self.target

    def cells(self) -> tuple[str, ...]:
        """As text: work, compared, measured, interval, target, reached."""
        found, unit = self.measured, self.unit
        sign = "≤" if self.side == "at most" else "≥"
        goal = "" if self.target is None else f"{sign} {self.target:g}{unit}"
        spread = "" if found.low == found.high else f"{found.low:.3g} to {found.high:.3g}"
        said = {None: "", True: "yes", False: "**no**"}[self.reached]
        return self.work, self.compared, f"{found.value:.3g}{unit}", spread, goal, said


HEADER = ("work", "compared", "measured", "95% interval", "target", "reached")


@dataclass
class Results:
    """All of one session: rows, seconds by work and arm, curves, and notes on what is missing."""

    rows: list[Row] = field(default_factory=list)
    times: dict[str, dict[str, Estimate]] = field(default_factory=dict)
    curves: dict[str, dict[str, dict[int, float]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def compare(
        self, work: str, compared: str, ours: Sequence[float], theirs: Sequence[float], **goal: Any
    ) -> None:
        """A row for the ratio of two samples."""
        self.rows.append(Row(work, compared, ratio(ours, theirs), **goal))

    def add(self, work: str, compared: str, values: Sequence[float], **goal: Any) -> None:
        """A row for the median of one sample."""
        self.rows.append(Row(work, compared, middle(values), **goal))

    def count(self, work: str, compared: str, value: float, **goal: Any) -> None:
        """A row for a number that is the same each time."""
        self.rows.append(Row(work, compared, Estimate(value, value, value), **goal))

    def documents(self) -> dict[str, dict[str, Any]]:
        """As plain JSON types, by the name of the file for each part that was measured."""
        found: dict[str, dict[str, Any]] = {}
        if self.rows:
            found["performance.json"] = {
                "rows": [{**asdict(row), "reached": row.reached} for row in self.rows],
                "seconds": {
                    work: {arm: asdict(middle) for arm, middle in arms.items()}
                    for work, arms in self.times.items()
                },
                "notes": self.notes,
            }
        if self.curves:
            found["growth.json"] = {"curves": self.curves}
        return found


def table(rows: Sequence[Row]) -> list[str]:
    """Aligned, for a terminal."""
    cells = [HEADER, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADER))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]


def markdown(rows: Sequence[Row]) -> list[str]:
    """For a page."""
    lines = [f"| {' | '.join(HEADER)} |", f"|{' --- |' * len(HEADER)}"]
    return [*lines, *(f"| {' | '.join(row.cells())} |" for row in rows)]
