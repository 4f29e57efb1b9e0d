"""A definition as a drawing, in the languages of Mermaid and Graphviz."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from alma.core.definition import Definition, StepDefinition


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


def mermaid(definition: Definition) -> str:
    """A flowchart (https://mermaid.js.org/syntax/flowchart.html)."""
    ids = {step.name: f"s{index}" for index, step in enumerate(definition.steps)}
    lines = ["flowchart TD"]
    for step in definition.steps:
        left, right = _mermaid_shape(step)
        lines.append(f'    {ids[step.name]}{left}"{step.name}"{right}')
    for arrow in arrows(definition):
        label = f'|"{_entities(", ".join(arrow.outputs))}"|' if arrow.outputs else ""
        lines.append(f"    {ids[arrow.before]} -->{label} {ids[arrow.after]}")
    return "\n".join(lines)


def _mermaid_shape(step: StepDefinition) -> tuple[str, str]:
    if step.pivot:
        return "{{", "}}"
    return ("[", "]") if step.has_state else ("(", ")")


def _entities(text: str) -> str:
    """Mermaid's entity codes for whatever could end a label or be taken for markup."""
    return "".join(c if c.isalnum() or c in " _.,-" else f"#{ord(c)};" for c in text)


def dot(definition: Definition) -> str:
    """A digraph (https://graphviz.org/doc/info/lang.html)."""
    lines = [f"digraph {_quoted(definition.saga)} {{", "    node [shape=box];"]
    for step in definition.steps:
        style = ["style=rounded"] if not step.has_state else []
        style += ["shape=hexagon"] if step.pivot else []
        attributes = f" [{', '.join(style)}]" if style else ""
        lines.append(f"    {_quoted(step.name)}{attributes};")
    for arrow in arrows(definition):
        label = f" [label={_quoted(', '.join(arrow.outputs))}]" if arrow.outputs else ""
        lines.append(f"    {_quoted(arrow.before)} -> {_quoted(arrow.after)}{label};")
    return "\n".join([*lines, "}"])


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
