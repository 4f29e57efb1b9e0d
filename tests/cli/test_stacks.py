"""The command line over real stacks: the Pulumi CLI, a file backend, dynamic resources."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from datetime import timedelta
from importlib import metadata
from pathlib import Path

import pytest
from click.testing import Result

from alma.journal import Journal
from alma.journal.journal import utc_now
from tests.cli.tools import names

Write = Callable[..., Path]
Call = Callable[..., Result]

STACKS = """
import os
import pulumi
from pulumi.dynamic import CreateResult, Resource, ResourceProvider
from alma import Saga

class Provider(ResourceProvider):
    def create(self, props):
        if props.get("full"):
            raise Exception("the quota of 3 buckets is used up")
        return CreateResult("id-" + props["label"], props)

class Bucket(Resource):
    def __init__(self, name, **props):
        super().__init__(Provider(), name, props)

def database():
    Bucket("tables", label=os.environ.get("LABEL", "one"))
    pulumi.export("url", "http://db")
    pulumi.export("password", pulumi.Output.secret("hunter22"))

def servers():
    config = pulumi.Config()
    Bucket("pool", label=config.require("url"), full=bool(os.environ.get("BREAK")))

saga = Saga("shop", stack="dev")
db = saga.add_stack("database", database)
saga.add_stack("servers", servers, inputs={"url": db.output("url"), "pw": db.output("password")})
"""

pytestmark = [pytest.mark.lives, pytest.mark.usefixtures("pulumi_cli")]


def test_a_first_preview_says_what_is_known_and_writes_nothing(
    write: Write, cli: Call, tmp_path: Path
) -> None:
    write(STACKS)
    result = cli("preview")
    assert result.exit_code == 0, result.stderr
    assert "database (stack shop-database/dev): a new stack: " in result.stdout
    assert "known only during up: it consumes database.password, database.url" in result.stdout
    order = result.stdout[result.stdout.index("in this order:") :]
    assert order.index("servers: destroy") < order.index("database: destroy")
    assert names(tmp_path) == ["saga.py"]


def test_a_preview_that_fails_is_1_with_the_programs_own_words(
    write: Write, cli: Call, tmp_path: Path
) -> None:
    write(
        "from alma import Saga\ndef p(): raise ValueError('no such zone')\n"
        "saga = Saga('s')\nsaga.add_stack('zone', p)\n"
    )
    result = cli("preview")
    assert result.exit_code == 1
    assert 'error: The preview of step "zone" failed: ' in result.stderr
    assert "no such zone" in result.output
    assert names(tmp_path) == ["saga.py"]


def test_a_life_of_two_stacks(write: Write, cli: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(STACKS)

    # A provider's failure: its own words, the resource, the log; all of it undone.
    monkeypatch.setenv("BREAK", "1")
    failed = cli("up")
    assert failed.exit_code == 4, failed.output
    assert 'Step "servers", stack shop-servers/dev, failed:' in failed.stderr
    assert "  pulumi-python:dynamic:Resource pool" in failed.stderr
    # A newer SDK sends the traceback, of which the class is told.
    told = r"(?m)^  (Exception: )?the quota of 3 buckets is used up"
    assert re.search(told, failed.stderr)
    log = next(line for line in failed.stderr.splitlines() if line.startswith("  log: "))
    assert Path(log.removeprefix("  log: ")).is_file()
    assert len(failed.stderr.splitlines()) < 30
    monkeypatch.delenv("BREAK")

    up = cli("up", "--json")
    assert up.exit_code == 0, up.stderr
    document = json.loads(up.stdout)
    assert document["outputs"]["database"] == {"url": "http://db", "password": "[secret]"}
    assert document["steps"][0]["changes"]["create"] >= 1

    # Nothing would change, so nothing could have to be undone.
    again = json.loads(cli("preview", "--json").stdout)
    assert [set(step["changes"]) for step in again["steps"]] == [{"same"}, {"same"}]
    assert again["not_undoable"] == []

    # A change of what an earlier run has made: told beforehand how it would be undone.
    monkeypatch.setenv("LABEL", "two")
    changed = json.loads(cli("preview", "--json").stdout)
    assert set(changed["steps"][0]["changes"]) - {"same"}
    assert changed["steps"][1]["changes"] == {"same": changed["steps"][1]["changes"]["same"]}
    monkeypatch.delenv("LABEL")

    doctor = json.loads(cli("doctor", "--json").stdout)
    levels = {check["name"]: check["level"] for check in doctor["checks"]}
    assert levels["cli"] == levels["backend"] == levels["journal"] == "ok"
    said = next(check["message"] for check in doctor["checks"] if check["name"] == "cli")
    one = f"Pulumi {metadata.version('pulumi').rpartition('.')[0]}." in said
    assert levels["sdk"] == ("ok" if one else "warn")
    assert doctor["exit_code"] == 0

    destroyed = cli("destroy", "--remove")
    assert destroyed.exit_code == 0, destroyed.stderr
    assert not list(Path(".alma/state/.pulumi/stacks").glob("*/dev.json"))

    whole = "".join(str(cli(*words).output) for words in (["status"], ["history", "latest"]))
    assert "hunter22" not in whole
    assert path.name in names(Path.cwd())


def test_a_rollback_needs_no_program(
    write: Write, cli: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(STACKS.replace('stack="dev")', 'stack="dev", on_failure="stop")'))
    monkeypatch.setenv("BREAK", "1")
    assert cli("up").exit_code == 10
    path.write_text("this is not Python")
    result = cli("rollback", "latest")
    assert result.exit_code == 4, result.output
    assert "servers: destroyed" in result.stderr
    assert "database: destroyed" in result.stderr


def test_a_passphrase_file_that_is_gone_is_3_before_anything_starts(
    write: Write, cli: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(STACKS)
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE_FILE", "gone")
    result = cli("up")
    assert result.exit_code == 3
    assert "gone" in result.stderr
    assert names(tmp_path) == ["saga.py"]
    doctor = cli("doctor")
    assert doctor.exit_code == 1
    assert "mend: Mend PULUMI_CONFIG_PASSPHRASE_FILE." in doctor.stdout


def test_a_wrong_passphrase_is_3_before_anything_starts(
    write: Write, cli: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(STACKS)
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "right")
    assert cli("up").exit_code == 0
    runs = json.loads(cli("runs", "--json").stdout)
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "wrong")
    result = cli("up")
    assert result.exit_code == 3
    said = "The passphrase is not the one that the secrets of stack shop-database/dev are encrypted"
    assert result.stderr.startswith(f"error: {said}")
    assert said in cli("doctor").stdout
    assert json.loads(cli("runs", "--json").stdout) == runs


def test_a_backend_that_is_not_there_is_1(
    write: Write, cli: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(STACKS)
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path}/gone")
    assert cli("up").exit_code == 1
    assert cli("doctor").exit_code == 1
    assert names(tmp_path) == ["saga.py"]


def test_without_a_pulumi_cli_the_way_to_one_is_told_with_2(
    write: Write, cli: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(STACKS)
    monkeypatch.setenv("PATH", str(tmp_path))
    result = cli("up")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: The Pulumi CLI was not found on PATH.\nhint: Install")
    doctor = cli("doctor")
    assert doctor.exit_code == 1
    assert doctor.stdout.startswith("fail  cli ")
    assert names(tmp_path) == ["saga.py"]


def test_doctor_names_a_dead_lock_and_writes_nothing(
    cli: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket
    import subprocess

    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    folder = tmp_path / ".alma/state/.pulumi/locks/organization/shop-database/dev"
    folder.mkdir(parents=True)
    lock = {
        "pid": dead.pid,
        "username": "me",
        "hostname": socket.gethostname(),
        "timestamp": "2026-01-01T00:00:00Z",
    }
    (folder / "one.json").write_text(json.dumps(lock))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    result = cli("doctor")
    assert "warn  lock        stack shop-database/dev is locked by me@" in result.stdout
    assert names(tmp_path) == [".alma"]
    assert names(tmp_path / ".alma") == ["state"]


@pytest.mark.usefixtures("under_a_passphrase")
def test_prune_removes_what_no_run_needs(write: Write, cli: Call) -> None:
    write(STACKS)
    assert cli("up").exit_code == 0
    assert cli("up").exit_code == 0  # over stacks that hold something: their state is kept
    kept = list(Path(".alma/snapshots").glob("*.json.gz"))
    assert kept
    assert json.loads(cli("prune", "--keep", "0", "--json").stdout) == {"removed": []}
    for path in kept:
        os.utime(path, (0, 0))  # no longer written just now
    assert json.loads(cli("prune", "--json").stdout) == {"removed": []}
    removed = json.loads(cli("prune", "--keep", "0", "--json").stdout)["removed"]
    assert {Path(path).name for path in removed} == {path.name for path in kept}
    assert not list(Path(".alma/snapshots").glob("*"))


def test_what_a_run_made_is_undone_though_the_file_names_another_project(
    write: Write, cli: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(STACKS.replace('Saga("shop", stack="dev")', 'Saga("shop", on_failure="stop")'))
    monkeypatch.setenv("BREAK", "1")
    assert cli("up").exit_code == 10
    path.write_text(
        path.read_text().replace('"database", database', '"database", database, project="other"')
    )
    result = cli("rollback", "latest")
    assert result.exit_code == 4, result.stderr
    records = list((tmp_path / ".alma" / "state" / ".pulumi" / "stacks").rglob("*.json"))
    assert records == []


RETURNS = """
import asyncio
from alma import Saga

def plain():
    return {"url": "http://db", "port": 1}

async def later():
    return {"url": "http://db"}

saga = Saga("shop", stack="dev")
saga.add_stack("plain", plain)
saga.add_stack("later", later, after=[])
"""


def test_a_program_that_returns_its_outputs_is_warned_of(write: Write, cli: Call) -> None:
    """To Pulumi what it returns is nothing: who consumes an output would be the first to tell."""
    write(RETURNS)
    first = "  warning: the program returned a dict (url, port) and exported nothing"
    assert first in cli("preview").stdout
    result = cli("up", "--json")
    assert result.exit_code == 0, result.output
    steps = {step["name"]: step["warnings"] for step in json.loads(result.stdout)["steps"]}
    said = "returned a dict ({}) and exported nothing, so it has no outputs; export them: "
    assert [said.format("url, port") in one for one in steps["plain"]] == [True]
    assert [said.format("url") in one for one in steps["later"]] == [True]
    assert "warning: plain: the program returned a dict (url, port)" in cli("up").stdout


def test_an_organization_is_a_part_of_each_stacks_name(
    write: Write, cli: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A backend of files knows one organization, its own; any other one is Pulumi Cloud's."""
    argv = tmp_path / "argv"
    monkeypatch.setenv("ALMA_TEST_ARGV", str(argv))
    write("from alma import Saga\nsaga = Saga('shop')\nsaga.add_stack('zone', lambda: None)\n")
    refused = cli("up", "--org", "acme")
    assert refused.exit_code == 2
    assert "has no organizations, and the saga is for acme" in refused.stderr
    assert cli("up", "--stack", "organization/prod").exit_code == 0
    assert cli("destroy", "--org", "organization", "--stack", "prod", "--yes").exit_code == 0
    named = [line for line in argv.read_text().splitlines() if " --stack " in f"{line} "]
    assert named
    assert all("--stack organization/shop-zone/prod" in line for line in named), named
    stacks = tmp_path / ".alma" / "state" / ".pulumi" / "stacks" / "shop-zone"
    assert "prod.json" in names(stacks)


def test_what_has_expired_is_destroyed_but_for_what_is_protected_which_is_named(
    write: Write, cli: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the journal alone: the file is gone. What another stack still needs stays as well."""
    kept = "opts=pulumi.ResourceOptions(protect=True), "
    text = STACKS.replace('Bucket("tables", ', f'Bucket("tables", {kept}')
    text = text.replace(
        "def __init__(self, name, **props):\n        super().__init__(Provider(), name, props)",
        "def __init__(self, name, opts=None, **props):\n"
        "        super().__init__(Provider(), name, props, opts)",
    )
    file = write(text)
    up = cli("up", "--ttl", "4h")
    assert up.exit_code == 0, up.output
    file.rename(tmp_path / "elsewhere.py")
    later = timedelta(hours=5)
    monkeypatch.setattr(Journal, "now", lambda _: utc_now() + later)
    done = cli("reap", "--json")
    assert done.exit_code == 10, done.output
    [one] = json.loads(done.stdout)["reaped"]
    assert one["outcome"] == "left"
    left = {item["urn"].rpartition("::")[2] for item in one["leftovers"]}
    assert "tables" in left
    assert "pool" not in left
    state = json.loads((tmp_path / ".alma/state/.pulumi/stacks/shop-servers/dev.json").read_text())
    assert not state["checkpoint"]["latest"].get("resources")
