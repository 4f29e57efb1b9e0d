"""A saga in YAML, by each command that takes a TARGET."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Call = Callable[..., Result]
Write = Callable[..., Path]

SAGA = """
name: shop
stack: ${params.stack}
params:
  stack: {default: dev}
  fail: {type: boolean, default: false}
  token: {secret: true}
steps:
  - name: database
    kind: action
    action: parts:make
    compensation: parts:unmake
    inputs: {token: "${params.token}"}
  - name: web
    kind: action
    action: parts:use
    compensation: none
    inputs:
      url: ${database.url}
      fail: ${params.fail}
"""
PARTS = """
from pathlib import Path

def note(words):
    with Path("calls").open("a") as calls:
        calls.write(words + "\\n")

def make(context):
    note(f"make {context.inputs['token'].value[:3]}")
    return {"url": "http://db"}

def unmake(context):
    note(f"unmake {context.inputs['token'].value[:3]}")

def use(context):
    note(f"use {context.inputs['url']}")
    if context.inputs["fail"] and not Path("mended").exists():
        raise RuntimeError("not today")
"""
TOKEN = ("-p", "token=@env:TOKEN")


@pytest.fixture(autouse=True)
def _at(tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOKEN", "hunter22")
    write(SAGA, "saga.yaml")
    write(PARTS, "parts.py")


def calls() -> list[str]:
    path = Path("calls")
    return path.read_text().splitlines() if path.exists() else []


def test_it_is_run_undone_and_taken_down_as_one_in_python(cli: Call) -> None:
    """Without a TARGET, as it is the only one here; parameters from the journal afterwards."""
    up = cli("up", *TOKEN, "--json")
    assert up.exit_code == 0, up.output
    document = json.loads(up.stdout)
    assert document["outputs"] == {"database": {"url": "http://db"}, "web": {}}
    assert document["parameters"] == {"stack": "dev", "fail": False, "token": "[secret]"}
    assert cli("destroy").exit_code == 0
    assert calls() == ["make hun", "use http://db", "unmake hun"]

    failed = cli("up", "saga.yaml", *TOKEN, "-p", "fail=true", "--stack", "prod")
    assert failed.exit_code == 4, failed.output
    assert "not today" in failed.output
    assert "hunter22" not in failed.output
    assert calls()[3:] == ["make hun", "use http://db", "unmake hun"]


def test_a_run_that_stopped_goes_on_from_the_journal_and_the_file(cli: Call) -> None:
    Path("saga.yaml").write_text(f"on_failure: stop\n{SAGA}")
    stopped = cli("up", "saga.yaml", *TOKEN, "-p", "fail=true")
    assert stopped.exit_code == 10, stopped.output
    Path("mended").touch()
    resumed = cli("resume", "latest")
    assert resumed.exit_code == 0, resumed.output
    assert calls() == ["make hun", "use http://db", "use http://db"]


def test_what_only_looks_imports_nothing(cli: Call, write: Write) -> None:
    write("raise SystemExit('executed')", "parts.py")
    graph = cli("graph", *TOKEN)
    assert (graph.exit_code, "url" in graph.output) == (0, True), graph.output
    params = json.loads(cli("params", "saga.yaml", "--json").stdout)
    assert [(one["name"], one["type"], one["required"]) for one in params] == [
        ("stack", "str", False),
        ("fail", "bool", False),
        ("token", "Secret", True),
    ]
    assert cli("doctor").exit_code in (0, 1)
    refused = cli("preview", *TOKEN)
    assert refused.exit_code == 2
    told = "saga.yaml, line 11, column 13: parts:make cannot be imported: SystemExit: executed."
    assert told in refused.output
    assert cli("up", *TOKEN).exit_code == 2


def test_what_is_wrong_with_it_ends_with_2_and_a_sentence(cli: Call, write: Write) -> None:
    write(SAGA.replace("kind: action", "kind: acton", 1), "saga.yaml")
    for command in ("up", "preview", "graph", "destroy"):
        refused = cli(command, "saga.yaml", *TOKEN)
        assert refused.exit_code == 2, refused.output
        assert "error: saga.yaml, line 10, column 11: acton is no kind of step." in refused.output
        assert "hint: Did you mean action?" in refused.output
    missing = cli("up", "saga.yaml")
    assert "saga.yaml needs the parameter token: a secret." in missing.output
    write("", "saga.py")
    both = cli("up")
    assert (both.exit_code, "saga.py and saga.yaml here" in both.output) == (2, True), both.output


def test_its_schema_is_printed(cli: Call) -> None:
    for words in (("schema", "saga"), ("schema", "saga", "--json")):
        assert json.loads(cli(*words).stdout)["$id"] == "urn:alma-pulumi:schema:saga:1"
    assert cli("schema", "shop").exit_code == 2


def test_its_parameters_are_completed_from_the_file(
    cli: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "_ALMA_PULUMI_COMPLETE": "bash_complete",
        "COMP_WORDS": "alma-pulumi up saga.yaml -p ",
        "COMP_CWORD": "4",
    }.items():
        monkeypatch.setenv(name, value)
    assert cli().stdout.split() == ["plain,stack=", "plain,fail=", "plain,token="]
