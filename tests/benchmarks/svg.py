"""Charts as SVG, written by hand: readable on light and on dark pages, and by a screen reader."""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import escape

STYLE = """\
text { font: 12px system-ui, sans-serif; fill: #333 }
text.title { font-size: 14px; font-weight: 600 }
text.quiet { fill: #666; font-size: 11px }
line, path { stroke: #bbb; fill: none }
.a { fill: #0b6e99; stroke: #0b6e99 } .b { fill: #c2571a; stroke: #c2571a }
.c { fill: #5a7d2a; stroke: #5a7d2a } .d { fill: #7a5195; stroke: #7a5195 }
path.a, path.b, path.c, path.d { fill: none; stroke-width: 2 }
line.range { stroke: #333; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
  text { fill: #ddd } text.quiet { fill: #999 } line, path { stroke: #555 }
  line.range { stroke: #ddd }
  .a { fill: #4db3dd; stroke: #4db3dd } .b { fill: #f0935c; stroke: #f0935c }
  .c { fill: #9ac45c; stroke: #9ac45c } .d { fill: #b794d6; stroke: #b794d6 }
  path.a, path.b, path.c, path.d { fill: none }
}
"""
WIDTH = 760


def page(title: str, height: float, parts: Iterable[str]) -> str:
    """The document; `title` is what a screen reader says."""
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
        f'width="{WIDTH}" height="{height:.0f}" role="img">\n<title>{escape(title)}</title>\n'
        f"<style>\n{STYLE}</style>\n{body}\n</svg>\n"
    )


def text(x: float, y: float, words: str, *, kind: str = "", anchor: str = "start") -> str:
    """A line of text with its baseline at y."""
    marked = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{marked}>{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str = "") -> str:
    """A straight line."""
    marked = f' class="{kind}"' if kind else ""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"{marked}/>'


def bar(x: float, y: float, width: float, height: float, kind: str) -> str:
    """A filled rectangle."""
    size = f'width="{max(width, 0.5):.1f}" height="{height:.1f}"'
    return f'<rect x="{x:.1f}" y="{y:.1f}" {size} class="{kind}"/>'


def path(points: Iterable[tuple[float, float]], kind: str) -> str:
    """A line through the points."""
    steps = " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return f'<path d="M{steps}" class="{kind}"/>'


def dot(x: float, y: float, kind: str) -> str:
    """A point of a line."""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" class="{kind}"/>'
