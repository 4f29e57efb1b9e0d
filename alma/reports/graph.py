"""A definition as a drawing: for Mermaid, for Graphviz, and as SVG, drawn here."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Final

from alma.core.definition import Definition, StepDefinition

_LETTER: Final = 8
"""Pixels that a letter of 13 px monospace takes."""
_SPACE: Final = "http://www.w3.org/2000/svg"
_FONT: Final = 'font-family="monospace" font-size="13"'
_ARROW: Final = (
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" '
    'markerHeight="8" orient="auto"><path d="M0 0 L8 4 L0 8 z"/></marker></defs>'
)
_HEIGHT, _GAP, _LAYER, _MARGIN = 36, 40, 96, 20


@dataclass(frozen=True, kw_only=True)
class Arrow:
    """From a step to one that waits for it; `outputs` are what the second consumes."""

    before: str
    after: str
    outputs: list[str]


def arrows(definition: Definition) -> Iterator[Arrow]:
    """Every dependency, in the order of the steps."""
    names = {step.name for step in definition.steps}
    for step in definition.steps:
        for before in step.dependencies:
            outputs = sorted(
                {
                    source.removeprefix(f"{before}.")
                    for source in step.inputs.values()
                    if _source(source, names) == before
                }
            )
            yield Arrow(before=before, after=step.name, outputs=outputs)


def _source(source: str, names: set[str]) -> str:
    """The step of `step.output`: both may hold dots, so the longest step that fits."""
    fitting = [name for name in names if source.startswith(f"{name}.")]
    return max(fitting, key=len, default="")


def mermaid(definition: Definition, selected: Collection[str]) -> str:
    """A flowchart (https://mermaid.js.org/syntax/flowchart.html)."""
    ids = {step.name: f"s{index}" for index, step in enumerate(definition.steps)}
    lines = ["flowchart TD"]
    for step in definition.steps:
        left, right = _mermaid_shape(step)
        lines.append(f'    {ids[step.name]}{left}"{step.name}"{right}')
    for arrow in arrows(definition):
        label = f'|"{_entities(", ".join(arrow.outputs))}"|' if arrow.outputs else ""
        lines.append(f"    {ids[arrow.before]} -->{label} {ids[arrow.after]}")
    dashed = (ids[step.name] for step in definition.steps if step.name not in selected)
    lines += [f"    style {name} stroke-dasharray: 4 3" for name in dashed]
    return "\n".join(lines)


def _mermaid_shape(step: StepDefinition) -> tuple[str, str]:
    if step.approvers:
        return "{", "}"
    if step.pivot:
        return "{{", "}}"
    return ("[", "]") if step.has_state else ("(", ")")


def _entities(text: str) -> str:
    """Mermaid's entity codes for whatever could end a label or be taken for markup."""
    return "".join(c if c.isalnum() or c in " _.,-" else f"#{ord(c)};" for c in text)


def dot(definition: Definition, selected: Collection[str]) -> str:
    """A digraph (https://graphviz.org/doc/info/lang.html)."""
    lines = [f"digraph {_quoted(definition.saga)} {{", "    node [shape=box];"]
    for step in definition.steps:
        style = ["rounded"] if not step.has_state else []
        style += ["dashed"] if step.name not in selected else []
        said = [f"style={style[0]}" if len(style) == 1 else f'style="{",".join(style)}"']
        said = said if style else []
        if step.approvers or step.pivot:
            said = [*said, f"shape={'diamond' if step.approvers else 'hexagon'}"]
        attributes = f" [{', '.join(said)}]" if said else ""
        lines.append(f"    {_quoted(step.name)}{attributes};")
    for arrow in arrows(definition):
        label = f" [label={_quoted(', '.join(arrow.outputs))}]" if arrow.outputs else ""
        lines.append(f"    {_quoted(arrow.before)} -> {_quoted(arrow.after)}{label};")
    return "\n".join([*lines, "}"])


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


# -- SVG: layers from top to bottom, no tool and no dependency ---------------------------------


@dataclass(frozen=True)
class Box:
    """A step's place: its left upper corner and its width."""

    x: float
    y: float
    width: float

    @property
    def middle(self) -> float:
        """Where arrows begin and end."""
        return self.x + self.width / 2


def svg(
    definition: Definition, selected: Collection[str], states: Mapping[str, str] | None = None
) -> str:
    """The whole picture as one document; a step of a run that has a state has that as its class."""
    boxes, width, height = _place(definition)
    lines = [
        f'<svg xmlns="{_SPACE}" width="{width:g}" height="{height:g}" role="img" {_FONT}>',
        f"<title>{escape(definition.saga)}</title>",
        _ARROW,
    ]
    for arrow in arrows(definition):
        begin, end = boxes[arrow.before], boxes[arrow.after]
        top, bottom = begin.y + _HEIGHT, end.y
        half = (top + bottom) / 2
        lines.append(
            f'<path d="M{begin.middle:g} {top:g} C{begin.middle:g} {half:g} {end.middle:g} '
            f'{half:g} {end.middle:g} {bottom:g}" fill="none" stroke="black" '
            'marker-end="url(#arrow)"/>'
        )
        if arrow.outputs:
            x = (begin.middle + end.middle) / 2 + 6
            text = escape(", ".join(arrow.outputs))
            lines.append(f'<text x="{x:g}" y="{half + 4:g}" font-size="11">{text}</text>')
    for step in definition.steps:
        box = boxes[step.name]
        corner = 4 if step.has_state else _HEIGHT / 2
        thick = 3 if step.pivot else 1
        dashed = "" if step.name in selected else ' stroke-dasharray="4 3"'
        fill = "#eee" if step.approvers else "white"
        state = (states or {}).get(step.name, "")
        lines.append(
            (f'<g class="{escape(state)}">' if state else "")
            + f'<rect x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{_HEIGHT}" '
            f'rx="{corner:g}" fill="{fill}" stroke="black" stroke-width="{thick}"{dashed}/>'
            f'<text x="{box.middle:g}" y="{box.y + 23:g}" text-anchor="middle">'
            f"{escape(step.name)}</text>" + ("</g>" if state else "")
        )
    return "\n".join([*lines, "</svg>"])


def _place(definition: Definition) -> tuple[dict[str, Box], float, float]:
    """Each step one layer below the lowest that it waits for; layers are centred."""
    depth: dict[str, int] = {}
    for name in definition.order:
        before = definition.step(name).dependencies
        depth[name] = max((depth[other] + 1 for other in before), default=0)
    layers = [[n for n in depth if depth[n] == d] for d in range(max(depth.values()) + 1)]
    sizes = [[len(name) * _LETTER + 32 for name in layer] for layer in layers]
    totals = [sum(row) + _GAP * (len(row) - 1) for row in sizes]
    boxes: dict[str, Box] = {}
    for level, (layer, row, total) in enumerate(zip(layers, sizes, totals, strict=True)):
        x = _MARGIN + (max(totals) - total) / 2
        for name, size in zip(layer, row, strict=True):
            boxes[name] = Box(x, _MARGIN + level * _LAYER, size)
            x += size + _GAP
    # Room at the right for the label of the last arrow.
    label = max((len(", ".join(a.outputs)) for a in arrows(definition)), default=0)
    height = 2 * _MARGIN + (len(layers) - 1) * _LAYER + _HEIGHT
    return boxes, max(totals) + 2 * _MARGIN + label * 7, height
