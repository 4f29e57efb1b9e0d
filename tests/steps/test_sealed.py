"""What a step said is used as it was, by whichever process; shown and kept it is only masked."""

from __future__ import annotations

import json

import pytest

from tests.steps.api import Api
from tests.steps.conftest import Place
from tests.steps.modules import module
from tests.steps.playbooks import playbooks

SAGA = """
import json
import os
import pathlib
import signal

import pulumi
from alma import Request, Saga, Secret

WORLD = pathlib.Path("world").absolute()
KIND = os.environ["KIND"]


def plain(tree):
    if isinstance(tree, Secret):
        return plain(tree.value)
    if isinstance(tree, list):
        return [plain(entry) for entry in tree]
    return tree


def die(where):
    if os.environ.get("DIE") == where:
        os.kill(os.getpid(), signal.SIGKILL)


def make():
    (WORLD / "test-thing").write_text("made")
    return {"thing": "test-thing", "pin": 918273, "whole": Secret("testament")}


def unmake(context):
    (WORLD / context.result["thing"]).unlink()


def use(context):
    die("use")
    value = context.inputs["value"]
    (WORLD / "used").write_text(json.dumps([type(value).__name__, plain(value)]))


def unuse(context):
    value = context.inputs["value"]
    (WORLD / "undone").write_text(json.dumps([type(value).__name__, plain(value)]))
    (WORLD / "used").unlink()


def boom():
    die("boom")


def program():
    token = pulumi.Config().require("token")
    pulumi.export("dsn", f"db://{token}@h")
    pulumi.export("pin", pulumi.Config().require_int("pin"))


saga = Saga("seal", stack="dev")
saga.add_step("login", action=lambda: None, compensation="none", inputs={"token": Secret("test")})
if KIND == "action":
    maker = saga.add_step("maker", action=make, compensation=unmake)
    value = maker.output("thing")
elif KIND == "number":
    maker = saga.add_step("maker", action=make, compensation=unmake, inputs={"p": Secret(918273)})
    value = maker.output("pin")
elif KIND == "http":
    maker = saga.add_http(
        "maker",
        do=Request("POST", os.environ["API"] + "/records", json={"name": "test-record"}),
        undo=Request(
            "DELETE", os.environ["API"] + "/records/{outputs.id}", headers={"Authorization": "test"}
        ),
        inputs={},
    )
    value = maker.output("body")
elif KIND == "terraform":
    values = {"world": str(WORLD), "names": ["test-a"], "password": Secret("test")}
    maker = saga.add_terraform("maker", "module", variables=values)
    value = maker.output("files")
elif KIND == "ansible":
    values = {"world": str(WORLD), "names": ["test-a"], "password": Secret("test")}
    maker = saga.add_ansible(
        "maker", "plays/site.yml", undo_playbook="plays/undo.yml", inventory="localhost,",
        variables=values,
    )
    value = maker.output("token")
else:
    config = {"token": Secret("test"), "pin": Secret(918273)}
    maker = saga.add_stack("maker", program=program, config=config)
    value = maker.output(KIND)
saga.add_step("use", action=use, compensation=unuse, inputs={"value": value})
saga.add_step("boom", action=boom, compensation="none")
"""

WORLD_OF = {
    "action": ["str", "test-thing"],
    "number": ["int", 918273],
    "http": ["dict", {"name": "test-record"}],
    "terraform": ["list", ["{world}/test-a"]],
    "ansible": ["Secret", "token-of-test-a"],
    "dsn": ["Secret", "db://test@h"],
    "pin": ["Secret", 918273],
}
"""What the consumer is given: its type and the value, in each process the same."""


@pytest.fixture(params=WORLD_OF)
def kind(request: pytest.FixtureRequest, place: Place, monkeypatch: pytest.MonkeyPatch) -> str:
    name = str(request.param)
    if name == "terraform":
        request.getfixturevalue("terraform_cli")
        module(place.root / "module")
    if name == "ansible":
        playbooks(place.root / "plays")
    if name == "http":
        monkeypatch.setenv("API", request.getfixturevalue("api").url)
    if name in ("dsn", "pin"):
        request.getfixturevalue("pulumi_cli")
    monkeypatch.setenv("KIND", name)
    (place.root / "saga.py").write_text(SAGA)
    return name


def expected(kind: str, place: Place) -> object:
    return json.loads(json.dumps(WORLD_OF[kind]).replace("{world}", str(place.world)))


def told(place: Place, name: str) -> object:
    return json.loads((place.world / name).read_text())


PLAIN = {
    "action": "test-thing",
    "number": "918273",
    "http": "test-record",
    "terraform": "/test-a",
    "ansible": "token-of-test",
    "dsn": "db://test",
    "pin": "918273",
}


def kept(place: Place, kind: str) -> list[str]:
    """Which of alma's own files hold the value or the key in plain, the key's own file apart.

    What Pulumi keeps in its state is Pulumi's.
    """
    key = (place.root / ".alma" / "journal.db.key").read_text().strip()
    found = place.holding(PLAIN[kind]) + place.holding(key, but=("journal.db.key",))
    return [path for path in found if "/.alma/" in path and "/.alma/state/" not in path]


def test_used_by_the_undo_of_another_process(place: Place, kind: str) -> None:
    """Killed after the consumer: its undo, and the maker's own, are given what is true."""
    assert place.alma("up", "saga.py", DIE="boom")[0] == -9
    assert told(place, "used") == expected(kind, place)
    assert kept(place, kind) == []
    code, said = place.alma("rollback", "latest", "--target", "saga.py")
    assert code == 4, said
    assert told(place, "undone") == expected(kind, place)
    assert place.things() == ["undone"]
    assert kept(place, kind) == []


def test_used_by_the_action_of_another_process(place: Place, kind: str) -> None:
    """Killed between the maker and its consumer; no step is done again for the sake of a value."""
    assert place.alma("up", "saga.py", DIE="use")[0] == -9
    code, said = place.alma("resume", "latest", "--target", "saga.py")
    assert code == 0, said
    assert told(place, "used") == expected(kind, place)
    steps = place.document("status")["steps"]
    assert next(step["attempts"] for step in steps if step["name"] == "maker") == 1
    code, said = place.alma("destroy", "--yes", "saga.py")
    assert code == 0, said
    assert told(place, "undone") == expected(kind, place)
    assert place.things() == ["undone"]
    assert kept(place, kind) == []


@pytest.mark.usefixtures("kind")
def test_nothing_is_touched_without_the_key(place: Place) -> None:
    """Refused, naming step and output; with the key in the environment it goes on."""
    assert place.alma("up", "saga.py", DIE="boom")[0] == -9
    key = place.root / ".alma" / "journal.db.key"
    moved = key.rename(place.root / "moved.key")
    before = place.things()
    code, said = place.alma("rollback", "latest", "--target", "saga.py")
    assert (code, "ALMA_JOURNAL_KEY" in said, 'step "maker"' in said) == (3, True, True), said
    assert place.things() == before
    assert not key.exists()
    code, said = place.alma(
        "rollback", "latest", "--target", "saga.py", ALMA_JOURNAL_KEY=moved.read_text()
    )
    assert code == 4, said
    assert place.things() == ["undone"]


def test_an_undo_without_the_sagas_file_has_its_secrets(place: Place, api: Api) -> None:
    """What is in a request, or a variable, is in the journal, sealed."""
    (place.root / "saga.py").write_text(
        SAGA.partition('saga.add_step("use"')[0].replace('stack="dev"', 'on_failure="stop"')
        + 'saga.add_step("last", action=lambda: 1 / 0, compensation="none")\n'
    )
    code, said = place.alma("up", "saga.py", KIND="http", API=api.url)
    assert code == 10, said
    (place.root / "saga.py").unlink()
    key = place.root / ".alma" / "journal.db.key"
    moved = key.rename(place.root / "moved.key")
    code, said = place.alma("rollback", "latest")
    assert (code, "there is no key" in said) == (3, True), said
    assert api.records
    code, said = place.alma("rollback", "latest", ALMA_JOURNAL_KEY_FILE=str(moved))
    assert code == 4, said
    assert api.records == {}
    assert api.asked[-1]["authorization"] == "test"
