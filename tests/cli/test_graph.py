from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from alma import Saga
from alma.reports.graph import dot, mermaid, svg

Write = Callable[..., Path]
Call = Callable[..., Result]
ALL = ("top", "left", "end", "bottom")


def nothing() -> None: ...


@pytest.fixture
def diamond() -> Saga:
    saga = Saga("diamond")
    top = saga.add_stack("top", nothing)
    left = saga.add_step("left", action=nothing, inputs={"u": top.output('u"]<rl')})
    right = saga.add_step("end", action=nothing, after=[top], pivot=True)
    saga.add_stack("bottom", nothing, after=[left, right])
    return saga


def test_mermaid_shows_kinds_dependencies_and_what_is_passed_on(diamond: Saga) -> None:
    assert mermaid(diamond.definition(), ALL).splitlines() == [
        "flowchart TD",
        '    s0["top"]',
        '    s1("left")',
        '    s2{{"end"}}',
        '    s3["bottom"]',
        '    s0 -->|"u#34;#93;#60;rl"| s1',
        "    s0 --> s2",
        "    s2 --> s3",
        "    s1 --> s3",
    ]


def test_dot_quotes_what_it_must(diamond: Saga) -> None:
    text = dot(diamond.definition(), ALL)
    assert text.startswith('digraph "diamond" {')
    assert '"top" -> "left" [label="u\\"]<rl"];' in text


def test_svg_is_well_formed_and_no_boxes_overlap(diamond: Saga) -> None:
    root = ET.fromstring(svg(diamond.definition(), ALL))  # noqa: S314 - our own text
    space = "{http://www.w3.org/2000/svg}"
    boxes = [
        tuple(float(rect.get(key, "")) for key in ("x", "y", "width", "height"))
        for rect in root.iter(f"{space}rect")
    ]
    assert len(boxes) == 4
    for index, (x, y, width, height) in enumerate(boxes):
        for other_x, other_y, _, _ in boxes[index + 1 :]:
            assert (x, y) != (other_x, other_y)
            assert not (abs(y - other_y) < height and x <= other_x < x + width)
    width, height = float(root.get("width", "")), float(root.get("height", ""))
    assert all(x >= 0 and x + w <= width and y + h <= height for x, y, w, h in boxes)


@pytest.mark.parametrize("form", ["mermaid", "dot", "svg"])
def test_a_file_is_drawn_and_not_run(write: Write, cli: Call, tmp_path: Path, form: str) -> None:
    write()
    result = cli("graph", "--format", form)
    assert result.exit_code == 0, result.stderr
    assert "database" in result.stdout
    assert not (tmp_path / ".alma").exists()


def test_a_graph_as_json_names_nodes_and_edges(write: Write, cli: Call) -> None:
    write()
    document = json.loads(cli("graph", "--json").stdout)
    assert [node["name"] for node in document["nodes"]] == ["database", "servers"]
    assert document["edges"] == [{"from": "database", "to": "servers", "outputs": []}]
