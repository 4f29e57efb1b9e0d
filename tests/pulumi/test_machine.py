"""What can be known before the first step is refused before it: machine, passphrase, plugins."""

from __future__ import annotations

import json
import os
import pwd
import types
from pathlib import Path

import pytest

from alma import Saga, destroy
from alma.errors import AuthenticationError, BackendError, ToolError
from alma.pulumi.cli import Cli
from alma.pulumi.engine import RestoreRequest, StackRef, WorkspaceOptions
from alma.pulumi.local import PulumiEngine
from alma.pulumi.plugins import missing
from tests.pulumi.conftest import Place

SALT = "v1:7jgKf+ImkiY=:v1:IzD+PDRRduRhl4St:dpwYUD7vvHwkpBUvhOQ2V5olIaN9DA=="
"""Made by Pulumi under the passphrase `right`."""


def project(directory: Path, runtime: str = "yaml", settings: str = "") -> StackRef:
    """A project of the user's, and its stack."""
    directory.mkdir()
    (directory / "Pulumi.yaml").write_text(f"name: net\nruntime: {runtime}\n")
    if settings:
        (directory / "Pulumi.dev.yaml").write_text(settings)
    return StackRef(project="net", stack="dev", work_dir=str(directory))


async def test_a_home_that_cannot_be_written_is_told(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where permissions say nothing of it; nothing is left of trying."""
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/proc/none")
    with pytest.raises(BackendError, match=r"alma's directory /proc/none/\.local/state/alma"):
        await place.engine.check([place.ref()])
    monkeypatch.setenv("HOME", str(place.root / "home"))
    await place.engine.check([place.ref()])
    assert list(place.root.iterdir()) == []


async def test_a_user_without_a_name_is_told_what_pulumi_says(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whose lock on a stack would fail, in the middle of the first step."""
    stub = tmp_path / "bin" / "pulumi"
    stub.write_text(
        "#!/bin/sh\ncase $* in *version*) echo v3.259.0;; "
        "*) echo 'error: user: unknown userid 12345' >&2; exit 1;; esac\n"
    )
    stub.chmod(0o755)

    def nobody(uid: int) -> pwd.struct_passwd:
        raise KeyError(uid)

    await place.engine.check([place.ref()])
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    with pytest.raises(BackendError, match="without a name: user: unknown userid 12345") as told:
        await place.engine.check([place.ref()])
    assert told.value.hint == f"Give uid {os.getuid()} an entry in /etc/passwd."


async def test_the_passphrase_of_settings_is_looked_at_beforehand(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A forgotten one, a wrong one; in a settings file, and in what a step gives itself."""
    ref = project(place.root / "net", settings=f"encryptionsalt: {SALT}\n")
    given = StackRef(
        project="net",
        stack="dev",
        options=WorkspaceOptions(settings={"encryptionsalt": SALT}),
    )
    with pytest.raises(AuthenticationError, match=r"Pulumi\.dev\.yaml has secrets under a pass"):
        await place.engine.check([ref])
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "wrong")
    engine = PulumiEngine()
    with pytest.raises(AuthenticationError, match=r"secrets of .*Pulumi\.dev\.yaml are encrypted"):
        await engine.check([ref])
    with pytest.raises(AuthenticationError, match=r"secrets of opts\.stack_settings"):
        await engine.check([given])
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "right")
    await engine.check([ref, given])
    await engine.close()


async def test_the_language_of_a_project_must_be_here(place: Place) -> None:
    """It would fail in its turn, after the steps before it."""
    await place.engine.check([project(place.root / "one")])
    with pytest.raises(ToolError, match="needs the plugin pulumi-language-cobol") as told:
        await place.engine.check([project(place.root / "two", runtime="cobol")])
    assert "have it on PATH or beside the CLI" in told.value.hint


def test_what_the_state_holds_needs_its_providers(tmp_path: Path) -> None:
    """What can be downloaded is not missing; what comes with Pulumi alone is."""
    root, tools = tmp_path / "state", tmp_path / "tools"
    entries = [
        {"type": f"pulumi:providers:{name}", "inputs": {"version": "7.1.0"}}
        for name in ("aws", "pulumi-python", "mine", "pulumi")
    ]
    path = root / ".pulumi" / "stacks" / "net" / "dev.json"
    path.parent.mkdir(parents=True)
    (root / ".pulumi" / "meta.yaml").write_text("version: 1\n")
    path.write_text(json.dumps({"version": 3, "checkpoint": {"latest": {"resources": entries}}}))
    ref = project(tmp_path / "net")
    with (tmp_path / "net" / "Pulumi.yaml").open("a") as file:
        file.write("plugins: {providers: [{name: mine, path: ./mine}]}\n")
    cli = Cli(path=str(tools / "pulumi"), version="3.259.0")

    def told(**environ: str) -> list[str]:
        return [words.split()[5] for words, _ in missing([ref], root, cli, environ)]

    tools.mkdir()
    assert told() == ["pulumi-language-yaml,", "pulumi-resource-pulumi-python,"]
    for name in ("pulumi-language-yaml", "pulumi-resource-pulumi-python"):
        (tools / name).write_text("")
        (tools / name).chmod(0o755)
    assert told() == []
    forbidden = {"PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true"}
    assert told(**forbidden) == ["pulumi-resource-aws,"]
    ((_, mend),) = missing([ref], root, cli, forbidden)
    assert mend == "Install it: pulumi plugin install resource aws 7.1.0"
    assert told(**forbidden, PULUMI_DEBUG_PROVIDERS="aws:1234") == []
    installed = tmp_path / "home" / "plugins" / "resource-aws-v7.1.0" / "pulumi-resource-aws"
    installed.parent.mkdir(parents=True)
    installed.write_text("")
    assert told(**forbidden, PULUMI_HOME=str(tmp_path / "home")) == []


DYNAMIC = """
from pulumi.dynamic import CreateResult, Resource, ResourceProvider

class Provider(ResourceProvider):
    def create(self, props):
        return CreateResult("made", props)

class Thing(Resource):
    def __init__(self, name):
        super().__init__(Provider(), name, {})

def program():
    Thing("thing")
"""


async def test_code_of_another_python_is_not_run_by_an_undo(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends the provider's process, or does something else: the journal knows which it was."""
    module = types.ModuleType("users")
    exec(DYNAMIC, vars(module))  # noqa: S102
    saga = Saga("shop")
    saga.add_stack("database", program=module.program)
    await saga.execute()
    ref = StackRef(project="shop-database", stack="dev")
    document = await place.engine.export(ref)
    assert document is not None
    request = RestoreRequest(ref=ref, document=document, log_dir="", python="3.98")
    with pytest.raises(ToolError, match=r"code of Python 3\.98, and this is"):
        await place.engine.preview_restore(request, place.operation())
    done = len(place.commands())
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("alma.pulumi.plugins.HERE", "3.99")
        again = await saga.execute()
        assert "If this run fails, what it changes of them cannot be" in again.status.notes[0]
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("alma.pulumi.plugins.HERE", "3.99")
        with pytest.raises(ToolError, match=r"resources \(thing\) whose provider is code of Py"):
            await destroy(saga)
    assert not any("destroy" in line for line in place.commands()[done:])
    assert (await destroy(saga)).exit_code == 0
