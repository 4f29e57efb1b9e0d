"""State goes where the user's projects and logins say, with the real CLI."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from alma.cli.program import program

pytestmark = pytest.mark.lives

PROJECT = """
name: net
runtime: yaml
backend: {url: "file://./../team"}
resources:
  note: {type: "pulumi:index:Stash", properties: {input: hello}}
outputs: {value: "${note.output}"}
"""
SAGA = """
from alma import Saga
saga = Saga("shop")
saga.add_stack("network", work_dir="net")
"""
INLINE = """
import pulumi
from alma import Saga

def first():
    pulumi.Stash("note", input="hello")

def fails():
    if os.environ.get("BREAK"):
        raise RuntimeError("no")

saga = Saga("shop", on_failure="stop")
saga.add_stack("first", first)
saga.add_step(fails, "none")
"""

Call = Callable[..., Result]


@pytest.fixture
def cli(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pulumi_home: Path, pulumi_cli: Path
) -> Call:
    """`alma-pulumi`, with a login of this test's own."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "plugins").symlink_to(pulumi_home / "plugins")
    monkeypatch.setenv("PULUMI_HOME", str(home))
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "abc")
    assert pulumi_cli.exists()
    return lambda *words: CliRunner().invoke(program, words)


def _stacks(root: Path) -> list[str]:
    return sorted(path.stem for path in (root / ".pulumi" / "stacks").rglob("*.json"))


def test_a_projects_own_backend_is_gone_by_for_good(
    cli: Call, tmp_path: Path, pulumi_cli: Path
) -> None:
    """A stack that is there is not made again; nor when the project no longer says where it is."""
    project = tmp_path / "net" / "Pulumi.yaml"
    for name in ("net", "team"):
        (tmp_path / name).mkdir()
    project.write_text(PROJECT)
    Path("saga.py").write_text(SAGA)
    for words in ("stack init dev", "up --yes --skip-preview -s dev"):
        subprocess.run([pulumi_cli, *words.split()], cwd=project.parent, check=True, timeout=300)

    foreseen = cli("preview")
    assert "update a stack of 2 resources: 2 unchanged" in foreseen.stdout, foreseen.output
    done = cli("up")
    assert done.exit_code == 0, done.output
    team = (tmp_path / "team").as_uri()
    assert done.stdout.splitlines()[0].endswith(f", state in {team}")
    assert "2 unchanged" in done.stdout
    assert not _stacks(tmp_path / ".alma" / "state")

    with pytest.MonkeyPatch.context() as unset:
        unset.delenv("PULUMI_CONFIG_PASSPHRASE")
        refused = cli("up")  # alma's own passphrase is none for a stack that the user has made
        assert refused.exit_code == 3
        assert "stack net/dev has secrets under a passphrase, and none is given" in refused.stderr

    project.write_text(PROJECT.replace("backend:", "# backend:"))
    again = cli("up")
    assert again.exit_code == 2
    assert f"its stack net is in {team} since run" in again.stderr
    assert "--accept-backend" in again.stderr
    gone = cli("destroy", "--remove")
    assert gone.exit_code == 0, gone.output
    assert _stacks(tmp_path / "team") == []


def test_the_current_login_is_gone_by_until_a_run_is_over(
    cli: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pulumi_cli: Path
) -> None:
    """What is undone is where the run was, wherever one is logged in by then."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    Path("saga.py").write_text(INLINE)
    monkeypatch.setenv("BREAK", "1")
    subprocess.run([pulumi_cli, "login", f"file://{tmp_path}/one"], check=True, timeout=300)
    failed = cli("up")
    assert failed.exit_code == 10, failed.output
    assert "first: up completed" in failed.stdout
    assert _stacks(tmp_path / "one") == ["dev"]

    subprocess.run([pulumi_cli, "login", f"file://{tmp_path}/two"], check=True, timeout=300)
    assert json.loads((tmp_path / "home" / "credentials.json").read_text())["current"]
    told = cli("doctor").stdout
    assert f"file://{tmp_path}/one\n" in told
    assert f"file://{tmp_path}/two\n" in told
    undone = cli("rollback", "latest")
    assert undone.exit_code == 4, undone.output
    assert _stacks(tmp_path / "one") == []
    again = cli("up")
    assert again.exit_code == 2
    assert f"is in file://{tmp_path}/one since run" in again.stderr
    assert _stacks(tmp_path / "two") == []
