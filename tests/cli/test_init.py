"""`init` writes a saga of the Pulumi projects that are there, and runs nothing of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Call = Callable[..., Result]

TREE = {
    "network/Pulumi.yaml": "name: network\nruntime: yaml\noutputs: {cidr: 10.0.0.0/16}\n",
    "network/Pulumi.dev.yaml": "",
    "network/Pulumi.prod.yaml": "",
    # A program in YAML is read.
    "app/Pulumi.yaml": "name: shop-app\nruntime: {name: yaml}\n",
    "app/Main.yaml": "resources:\n  net:\n    type: pulumi:pulumi:StackReference\n"
    "    properties: {name: 'organization/network/${pulumi.stack}'}\n",
    "app/Pulumi.dev.yaml": "config: {key: {secure: acme/web/dev}}\n",
    # Others are searched as text.
    "web/Pulumi.yaml": "name: web\nruntime: nodejs\n",
    "web/index.ts": "import {\nconst a = new p.StackReference(`${org}/shop-app/${stack}`);\n"
    'const b = new p.StackReference("dns", {name: "acme/dns/prod"});\n',
    "ops/Pulumi.yaml": "name: ops\nruntime: go\n",
    "ops/main.go": 'pulumi.NewStackReference(ctx, fmt.Sprintf("%s/web/%s", org, stack), nil)\n'
    'raise("never run")\n',
    "api/Pulumi.yaml": "name: api\nruntime: python\n",
    "api/__main__.py": "1/0\n",
    "api/Pulumi.dev.yaml": "config: {'api:net': acme/network/dev}\n",
    # Two that would wait for each other.
    "loop/Pulumi.yaml": "name: loop\nruntime: python\n",
    "loop/__main__.py": 'StackReference("a/pool/dev")\n',
    "pool/Pulumi.yaml": "name: pool\nruntime: python\n",
    "pool/__main__.py": 'StackReference("a/loop/dev")\n',
    # No step can be made of these, and those are nobody's.
    "broken/Pulumi.yaml": "name: [\n",
    "nameless/Pulumi.yaml": "runtime: go\n",
    "other/Pulumi.yaml": "name: network\nruntime: go\n",
    "web/node_modules/x/Pulumi.yaml": "name: inner\nruntime: go\n",
    ".hidden/Pulumi.yaml": "name: hidden\nruntime: go\n",
    "env/pyvenv.cfg": "",
    "env/lib/Pulumi.yaml": "name: env\nruntime: go\n",
}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "my shop"
    for name, text in TREE.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.chdir(folder)
    return folder


def test_a_step_for_each_project_after_those_that_it_refers_to(cli: Call, shop: Path) -> None:
    written = cli("init", "--json")
    assert written.exit_code == 0, written.output
    document = json.loads(written.stdout)
    assert (document["saga"], document["stack"]) == ("my-shop", "dev")
    assert document["left_out"] == [
        "broken/Pulumi.yaml: it is no YAML in line 2",
        "nameless/Pulumi.yaml: it does not name its project",
        "other/Pulumi.yaml: network has a project network as well",
    ]
    graph = json.loads(cli("graph", "--json").stdout)
    assert sorted(node["name"] for node in graph["nodes"]) == sorted(document["steps"])
    edges = {(edge["from"], edge["to"]) for edge in graph["edges"]}
    circle = edges & {("loop", "pool"), ("pool", "loop")}
    assert len(circle) == 1
    assert edges - circle == {
        ("network", "shop-app"),
        ("network", "api"),
        ("shop-app", "web"),
        ("web", "ops"),
    }
    text = (shop / "saga.yaml").read_text()
    for line in (
        "stack: dev  # or --stack prod: they have settings too",
        "      - network  # StackReference in app/Main.yaml (organization/network/${pulumi.stack})",
        "line 2, found by text (${org}/shop-app/${stack})",
        "      - web  # StackReference in ops/main.go, line 1, found by text (%s/web/%s)",
        "      - network  # config api:net in api/Pulumi.dev.yaml (acme/network/dev)",
    ):
        assert f"{line}\n" in text, line
    assert "Not waited for, as it would be a circle: StackReference in " in text


def test_nothing_is_overwritten_and_nothing_written_where_there_is_no_project(
    cli: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    none = cli("init")
    assert none.exit_code == 2
    assert f"There is no Pulumi project below {tmp_path}." in none.output
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "Pulumi.yaml").write_text("name: 'no'\nruntime: yaml\n")
    (tmp_path / "saga.yaml").write_text("mine")
    refused = cli("init")
    assert (refused.exit_code, "saga.yaml is there already" in refused.output) == (2, True)
    assert (tmp_path / "saga.yaml").read_text() == "mine"


@pytest.mark.usefixtures("pulumi_cli")
def test_what_it_writes_is_previewed(
    cli: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the project's own directory, and with a name that is a word to YAML."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Pulumi.yaml").write_text("name: 'no'\nruntime: yaml\noutputs: {a: b}\n")
    assert cli("init").exit_code == 0
    preview = cli("preview", "saga.yaml", "--json")
    assert preview.exit_code == 0, preview.output
    steps = json.loads(preview.stdout)["steps"]
    assert [(step["name"], step["error"]) for step in steps] == [("no", None)]
