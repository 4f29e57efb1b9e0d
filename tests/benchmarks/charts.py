"""The charts of docs/performance.md: times side by side, growth, and one run's time line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, log10

from tests.benchmarks import svg
from tests.benchmarks.stats import Estimate
from tests.benchmarks.timeline import Timeline

KINDS = {"A": "a", "B": "b", "B'": "b", "C": "c", "D": "d"}
_LEFT, _ROW = 190, 18
_APART = 11
"""Between the baselines of two labels, at least."""


def bars(title: str, groups: Mapping[str, Mapping[str, Estimate]]) -> str:
    """For each work its arms: the median as a bar, the 95% interval as a line over it."""
    most = max(found.high for arms in groups.values() for found in arms.values())
    scale = (svg.WIDTH - _LEFT - 90) / most
    y, parts = 48.0, [svg.text(12, 24, title, kind="title")]
    for work, arms in groups.items():
        parts.append(svg.text(_LEFT - 40, y + _ROW * len(arms) / 2, work, anchor="end"))
        for arm, found in arms.items():
            parts += [
                svg.text(_LEFT - 8, y + 12, arm, kind="quiet", anchor="end"),
                svg.bar(_LEFT, y + 2, found.value * scale, _ROW - 5, KINDS.get(arm, "d")),
                svg.line(
                    _LEFT + found.low * scale, y + 8.5, _LEFT + found.high * scale, y + 8.5, "range"
                ),
                svg.text(_LEFT + found.high * scale + 6, y + 12, f"{found.value:.2f} s"),
            ]
            y += _ROW
        y += 12
    return svg.page(title, y + 4, parts)


Curves = Mapping[str, Mapping[int, float]]


def growth(title: str, panels: Sequence[tuple[str, str, Curves]]) -> str:
    """Small charts two in a row: both axes are logarithmic, so that what is flat stays flat."""
    parts = [svg.text(12, 24, title, kind="title")]
    for index, (heading, unit, curves) in enumerate(panels):
        x, y = 20 + 375 * (index % 2), 50 + 230 * (index // 2)
        parts += _panel(x, y, heading, unit, curves)
    return svg.page(title, 50 + 230 * ceil(len(panels) / 2), parts)


def _panel(x: float, y: float, heading: str, unit: str, curves: Curves) -> list[str]:
    width, height = 250.0, 150.0
    left, top = x + 45, y + 20
    across = [size for curve in curves.values() for size in curve]
    values = [value for curve in curves.values() for value in curve.values()]
    x0, x1 = log10(min(across)), max(log10(max(across)), log10(min(across)) + 1)
    y0, y1 = _decade(min(values)), _decade(max(values) * 9.999)

    def place(size: float, value: float) -> tuple[float, float]:
        right = left + width * (log10(size) - x0) / (x1 - x0)
        return right, top + height * (1 - (log10(value) - y0) / (y1 - y0))

    parts = [svg.text(x, y + 4, f"{heading} ({unit})")]
    for decade in range(y0, y1 + 1):
        _, level = place(10**x0, 10.0**decade)
        parts += [
            svg.line(left, level, left + width, level),
            svg.text(left - 6, level + 4, f"{10.0**decade:g}", kind="quiet", anchor="end"),
        ]
    for size in sorted(set(across)):
        at, _ = place(size, 10.0**y0)
        parts.append(svg.text(at, top + height + 16, f"{size:,}", kind="quiet", anchor="middle"))
    taken: list[float] = []
    for kind, (name, curve) in zip("abcd", curves.items(), strict=False):
        points = [place(size, value) for size, value in curve.items()]
        parts += [svg.path(points, kind), *(svg.dot(*point, kind) for point in points)]
        level = points[-1][1] + 4
        while any(abs(level - other) < _APART for other in taken):
            level += 1
        taken.append(level)
        parts.append(svg.text(points[-1][0] + 7, level, name, kind="quiet"))
    return parts


def _decade(value: float) -> int:
    return int(log10(value) // 1)


def timeline(title: str, lines: Mapping[str, Timeline]) -> str:
    """Each process from its start to its end; a tick for each event that was committed."""
    most = max(found.seconds for found in lines.values())
    scale = (svg.WIDTH - _LEFT - 70) / most
    y, parts = 48.0, [svg.text(12, 24, title, kind="title")]
    kinds = {"runner": "a", "worker": "d", "cli": "c"}
    for heading, found in lines.items():
        parts.append(svg.text(12, y + 10, heading))
        y += _ROW
        for span in found.spans:
            length = (span.end - span.begin) * scale
            begin = _LEFT + span.begin * scale
            parts += [
                svg.text(_LEFT - 8, y + 12, span.label, kind="quiet", anchor="end"),
                svg.bar(begin, y + 3, length, _ROW - 6, kinds[span.kind]),
                svg.text(
                    begin + length + 4, y + 12, f"{span.end - span.begin:.2f} s", kind="quiet"
                ),
            ]
            y += _ROW
        parts += [
            svg.line(_LEFT + at * scale, y + 3, _LEFT + at * scale, y + 12, "range")
            for at, _ in found.marks
        ]
        parts.append(svg.text(_LEFT - 8, y + 12, "events committed", kind="quiet", anchor="end"))
        y += _ROW + 14
    return svg.page(title, y, parts)
