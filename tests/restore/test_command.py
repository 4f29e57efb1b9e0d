"""`alma-pulumi restore`: a stack as it was before or after an earlier run."""

from __future__ import annotations

import gzip
import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from alma.cli.program import program
from tests.cli.tools import wait_for
from tests.pulumi.conftest import environment
from tests.restore.conftest import Lab

pytestmark = pytest.mark.lives

"""Each test is some ten commands over real stacks."""

SAGA = """
from alma import Saga
from pulumi import Output, ResourceOptions, export
from tests.restore.things import Thing

VERSION = {version}

def stack():
    a = Thing("a", fixed=VERSION, gate={gate!r}, seconds=3)
    Thing("b", size=VERSION, of=a.made, token=Output.secret(f"canary-{{VERSION}}"))
    if VERSION != 2:
        Thing("c", size=VERSION)
    if VERSION > 1:
        Thing("kept", ResourceOptions(retain_on_delete=VERSION == 4, protect=VERSION == 5))
    export("version", VERSION)

def other():
    export("nothing", 1)

saga = Saga("shop")
saga.add_stack("only", stack)
saga.add_stack("other", other)
"""


class Shell:
    """The command line in the lab's directory, over a saga of some version."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.file = lab.place.root / "saga.py"
        self.gate = ""

    def call(self, *words: str) -> Result:
        return CliRunner().invoke(program, words)

    def json(self, *words: str, code: int = 0) -> Any:
        result = self.call("--json", *words)
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)

    def write(self, version: int) -> None:
        self.file.write_text(SAGA.format(version=version, gate=self.gate))

    def up(self, version: int) -> str:
        self.write(version)
        return str(self.json("up")["run"])

    def restore(self, *words: str, code: int = 0) -> Any:
        return self.json("restore", "--step", "only", *words, code=code)

    def fails(self, *words: str) -> str:
        return str(self.call("restore", "--step", "only", *words).stderr)

    @property
    def names(self) -> list[str]:
        return sorted(name.rpartition("-")[0] for name in self.lab.things())

    @property
    def snapshots(self) -> list[Path]:
        return list((self.lab.place.root / ".alma" / "snapshots").glob("*.json.gz"))


@pytest.fixture
def shell(lab: Lab) -> Shell:
    return Shell(lab)


def _names(found: list[dict[str, str]]) -> list[str]:
    return sorted(one["urn"].rpartition("::")[2] for one in found)


def test_before_and_after_an_earlier_run(shell: Shell) -> None:
    """Listed, foreseen, refused without a word, done, journaled; and taken back itself."""
    one, two, three = shell.up(1), shell.up(2), shell.up(3)
    told = [(entry["moment"], entry["run"]) for entry in shell.restore()]
    assert told == [("before", three), ("after", two), ("before", two), ("after", one)]
    assert f"after      {two}" in shell.call("restore", "--step", "only").stdout

    world = shell.lab.things()
    asked = shell.call("restore", "--step", "only", "--to", two)
    assert asked.exit_code == 2, asked.output
    assert "no terminal" in asked.stderr
    plan = shell.restore("--to", two, "--preview-only")
    assert _names(plan["renewed"]) == ["a"]
    assert _names(plan["updated"]) == ["b", "c"]
    assert _names(plan["deleted"]) == ["kept"]
    assert plan["unlike"] == []
    assert "make again, with a new id and without what it held: world:index:Thing a" in (
        shell.call("restore", "--step", "only", "--to", two, "--preview-only").stdout
    )
    assert shell.lab.things() == world

    done = shell.restore("--to", two, "--yes")
    assert (done["kind"], done["state"], done["leftovers"]) == ("restore", "COMPLETED", [])
    assert done["steps"][0]["undone"] == "restored"
    assert shell.names == ["a", "b", "c"]
    held = {name[0]: value["inputs"] for name, value in shell.lab.things().items()}
    assert held["b"]["token"] == "canary-1"
    assert held["b"]["of"].startswith("address-of-a-")
    shell.write(1)
    (only, _) = shell.json("preview")["steps"]
    assert set(only["changes"]) == {"same"}
    created = shell.json("history", done["run"])[0]
    assert created["moment"] == f"before {two}"
    assert shell.json("runs")[0]["kind"] == "restore"
    assert "(restore)" in shell.call("status").stdout
    assert shell.call("verify").exit_code == 0
    with closing(sqlite3.connect(shell.lab.place.root / ".alma" / "journal.db")) as journal:
        both = (
            "SELECT state FROM run_states WHERE run = :run "
            "UNION ALL SELECT state FROM steps WHERE run = :run"
        )
        found = journal.execute(both, {"run": done["run"]}).fetchall()
    assert found == [("COMPLETED",), ("COMPLETED",)]

    shell.restore("--to", "latest", "--yes")
    assert shell.names == ["a", "b", "c", "kept"]
    shell.restore("--to", one, "--after", "--yes")
    assert shell.names == ["a", "b", "c"]


def test_where_there_is_none_it_is_said_which_there_are(shell: Shell) -> None:
    """Exit code 6; after that no run has been begun."""
    one = shell.up(1)
    assert "no run came after it" in shell.fails("--to", one, "--after", "--yes")
    two = shell.up(2)
    text = shell.restore("--to", one, "--yes", code=6)
    assert "it held nothing then" in text["error"]
    assert f"before {two}" in text["hint"]
    assert f"after {one}" in text["hint"]
    shell.restore("--to", "20", "--yes", code=6)
    assert "no stack step" in shell.json("restore", "--step", "x", code=2)["error"]
    assert "--step" in shell.json("restore", code=2)["error"]
    # The other stack holds an output, so one of it was kept as well.
    (path,) = (
        path for path in shell.snapshots if b"shop-only" in gzip.decompress(path.read_bytes())
    )
    whole = path.read_bytes()
    path.write_bytes(gzip.compress(gzip.decompress(whole).replace(b"canary", b"x") + b" "))
    assert "damaged" in shell.restore("--to", two, "--yes", code=6)["error"]
    path.unlink()
    assert "its file is gone" in shell.restore("--to", two, "--yes", code=6)["error"]
    assert len(shell.json("runs")) == 2


@pytest.mark.usefixtures("under_a_passphrase")
def test_refused_where_it_is_not_what_alma_left(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else has changed the stack; its passphrase is another one. Both touch nothing."""
    shell.up(1)
    two = shell.up(2)
    theirs = shell.lab.place.root / "theirs.py"
    theirs.write_text(shell.file.read_text().replace('"shop"', '"theirs"', 1).replace(
        'saga.add_stack("only", stack)', 'saga.add_stack("only", stack, project="shop-only")'
    ).replace("VERSION = 2", "VERSION = 3"))  # fmt: skip
    assert shell.call("up", "theirs.py").exit_code == 0
    world = shell.lab.things()
    refused = shell.restore("--to", two, "--yes", code=11)
    assert "Somebody else has changed the stack shop-only/dev" in refused["error"]
    assert shell.lab.things() == world

    with monkeypatch.context() as other:
        other.setenv("PULUMI_CONFIG_PASSPHRASE", "another one")
        lost = shell.restore("--to", two, "--yes", "--accept-changes", code=3)
        assert "passphrase" in lost["error"]
    assert shell.lab.things() == world
    done = shell.restore("--to", two, "--yes", "--accept-changes")
    assert done["state"] == "COMPLETED"
    assert shell.names == ["a", "b", "c"]


def test_what_cannot_be_put_back_is_foreseen_and_named(shell: Shell) -> None:
    """FAILED, with the leftovers; all else is put back, and nothing is destroyed."""
    shell.up(1)
    shell.write(5)
    (only, other) = shell.json("preview")["steps"]
    assert (only["undo_kind"], other["undo_kind"]) == ("restore", "nothing")
    risks = {one["urn"].rpartition("::")[2]: one["reason"] for one in only["at_risk"]}
    assert sorted(risks) == ["a", "kept"]
    assert "replaces it" in risks["a"]
    assert "with protect" in risks["kept"]
    shell.write(2)
    told = shell.call("preview").stdout
    assert "could not bring back as it is:" in told
    assert "`up` deletes it" in told
    five = shell.up(5)
    plan = shell.restore("--to", five, "--preview-only")
    assert _names(plan["unlike"]) == ["kept"]
    done = shell.restore("--to", five, "--yes", code=10)
    assert done["state"] == "FAILED"
    assert [left["urn"].rpartition("::")[2] for left in done["leftovers"]] == ["kept"]
    assert "protected" in done["leftovers"][0]["reason"]
    assert shell.names == ["a", "b", "c", "kept"]
    result = shell.call("rollback", "latest")
    assert result.exit_code == 2
    assert "is a restore" in result.stderr
    assert shell.call("prune", "--keep", "0").exit_code == 0
    shell.up(3)  # no longer protected
    shell.restore("--to", five, "--yes")
    assert shell.names == ["a", "b", "c"]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_cut_off_half_way_resume_comes_to_the_same_end(shell: Shell, how: int) -> None:
    """While it makes again what a later run had replaced for good."""
    shell.gate = str(shell.lab.world.parent / "gate")
    begun = Path(f"{shell.gate}.begun")
    shell.up(1)
    two = shell.up(2)
    begun.unlink()
    words = ["restore", "--step", "only", "--to", two, "--yes"]
    process = subprocess.Popen(
        [sys.executable, "-m", "alma", *words], env=environment(), stderr=subprocess.PIPE
    )
    try:
        wait_for(begun)
        os.kill(process.pid, how)
        process.communicate(timeout=300)
    finally:
        process.kill()
        process.wait()
    if how == signal.SIGINT:
        assert process.returncode == 8
    assert shell.call("up").exit_code == 11
    done = shell.json("resume", "latest")
    assert (done["kind"], done["state"], done["leftovers"]) == ("restore", "COMPLETED", [])
    assert shell.names == ["a", "b", "c"]
