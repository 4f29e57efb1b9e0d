"""A saga in a saga, as the commands show it: folded, and with `--unfold`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

Write = Callable[..., Path]
Call = Callable[..., Result]

SAGA = """
import os
from pathlib import Path
from alma import Saga

def made(name):
    inner = Saga("region", stack=name)
    inner.add_step("net", action=lambda c: {"id": c.inputs["vpc"]}, compensation="none",
                   inputs={"vpc": inner.input("vpc")})
    inner.add_step("app", action=lambda: None, compensation=lambda: Path(name).touch())
    return inner

def last():
    if os.environ.get("BREAK"):
        raise RuntimeError("no")

saga = Saga("world")
base = saga.add_step("base", action=lambda: {"vpc": "v-1"}, compensation="none")
saga.add_saga("regions", made, for_each=["eu", "us"], inputs={"vpc": base.output("vpc")})
saga.add_step("last", action=last, compensation="none")
"""


def test_status_folds_and_unfolds_it(write: Write, cli: Call) -> None:
    """`latest` is the run around it, whichever has begun last."""
    write(SAGA)
    assert cli("up").exit_code == 0
    folded = json.loads(cli("status", "--json").stdout)
    assert (folded["saga"], folded["parent"]) == ("world", None)
    assert folded["outputs"]["regions"]["eu.net.id"] == "v-1"
    parts = folded["steps"][1]["parts"]
    assert [part["target"] for part in parts] == ["region/eu", "region/us"]
    unfolded = json.loads(cli("status", "--unfold", "--json").stdout)
    assert [part["name"] for part in unfolded["within"]] == ["regions[eu]", "regions[us]"]
    assert unfolded["within"][0]["parent"]["run"] == folded["run"]
    shown = cli("status", "--unfold").stdout
    assert "regions  COMPLETED" in cli("status").stdout
    assert f"regions[eu]: region/eu, run {parts[0]['run']}: COMPLETED" in shown
    assert f"Part of  {folded['run']}, step regions[us]" in cli("status", parts[1]["run"]).stdout
    assert "begins as a part of it" in cli("history", "latest").stdout


def test_graph_and_preview_unfold_it(write: Write, cli: Call) -> None:
    write(SAGA)
    nodes = json.loads(cli("graph", "--json").stdout)["nodes"]
    assert [node["name"] for node in nodes] == ["base", "regions", "last"]
    drawn = json.loads(cli("graph", "--unfold", "--json").stdout)
    arrows = {(edge["from"], edge["to"]) for edge in drawn["edges"]}
    for item in ("eu", "us"):
        net, app = f"regions[{item}].net", f"regions[{item}].app"
        assert {("base", net), (net, app), (app, "regions")} <= arrows
    assert ("regions", "last") in arrows
    for form in ("mermaid", "dot", "svg"):
        assert "regions[eu].net" in cli("graph", "--unfold", "--format", form).stdout
    assert "region/eu net" not in cli("preview").stdout
    assert "  region/eu net: call <lambda>" in cli("preview", "--unfold").stdout


def test_a_failure_around_it_undoes_it(write: Write, cli: Call, tmp_path: Path) -> None:
    write(SAGA.replace('os.environ.get("BREAK")', "True"))
    assert cli("up").exit_code == 4
    assert (tmp_path / "eu").exists()
    assert (tmp_path / "us").exists()
    assert "undone as a whole" in cli("status").stdout
