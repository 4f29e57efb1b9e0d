"""What the user's own settings and project say of a stack holds for alma's operations on it."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest
import yaml
from msgspec.structs import replace

from alma import Saga, SagaState, Secret
from alma.core.redaction import without_credentials
from alma.errors import ToolError
from alma.pulumi.cli import find_cli
from alma.pulumi.engine import StackRef, WorkspaceOptions
from alma.pulumi.project import encrypted_by, secrets_provider_of, write_project
from alma.runner.preview import preview
from alma.runner.settings import Settings
from alma.runner.start import up
from tests.pulumi import programs
from tests.pulumi.conftest import Place, until
from tests.runner.helpers import ended

PROJECT = """
name: net
runtime: yaml
outputs:
  cidr: 10.0.0.0/16
"""


def project(directory: Path, more: str = "", settings: str = "") -> Path:
    """A project of the user's."""
    folder = directory / "net"
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text(PROJECT + more)
    if settings:
        (folder / "Pulumi.dev.yaml").write_text(settings)
    return folder


async def test_settings_with_a_salt_are_previewed(
    place: Place, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the user's passphrase, which made the salt; the stack is not there yet."""
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "abc")
    made = await place.up(lambda: None, stack="dev")
    assert made.failure is None
    (path,) = (directory / ".alma/state/.pulumi/stacks").rglob("dev.json")
    state = json.loads(path.read_text())["checkpoint"]["latest"]["secrets_providers"]["state"]
    saga = Saga("team")
    saga.add_stack(
        "net", work_dir=project(directory, settings=f"encryptionsalt: {state['salt']}\n")
    )
    seen = await preview(saga)
    assert seen.steps[0].foreseen.failure is None
    result = await ended(up(saga, settings=Settings()))
    assert result.state is SagaState.COMPLETED


async def test_a_new_stack_is_made_with_the_settings_secrets_provider(
    directory: Path,
) -> None:
    """Else its state would be under a passphrase of alma's."""
    folder = project(directory, settings="secretsprovider: hashivault://alma\n")
    saga = Saga("team")
    saga.add_stack("net", work_dir=folder)
    result = await ended(up(saga, settings=Settings()))
    assert result.state is SagaState.COMPLETED, result.error
    (path,) = (directory / ".alma/state/.pulumi/stacks").rglob("dev.json")
    kept = json.loads(path.read_text())["checkpoint"]["latest"]["secrets_providers"]
    assert kept["type"] == "cloud"
    assert kept["state"]["url"] == "hashivault://alma"


def test_what_a_step_says_of_its_secrets_counts_more(directory: Path) -> None:
    """Than the settings; without either there is none."""
    ref = StackRef(project="net", stack="dev", work_dir=str(project(directory)))
    assert secrets_provider_of(ref) == ""
    (directory / "net" / "Pulumi.dev.yaml").write_text("secretsprovider: awskms://alias/x\n")
    assert secrets_provider_of(ref) == "awskms://alias/x"
    assert encrypted_by(ref, "hashivault://saga") == ref


@pytest.mark.parametrize("own", ["", "encryptionsalt: v1:salt\n", "config: {}\n"])
def test_a_sagas_secrets_provider_is_for_who_has_none(directory: Path, own: str) -> None:
    """A salt in the settings is a passphrase's: that is a provider, too."""
    ref = StackRef(project="net", stack="dev", work_dir=str(project(directory, settings=own)))
    found = secrets_provider_of(encrypted_by(ref, "hashivault://saga"))
    assert found == ("" if "salt" in own else "hashivault://saga")
    said = replace(ref, options=WorkspaceOptions(secrets_provider="passphrase"))
    assert secrets_provider_of(encrypted_by(said, "hashivault://saga")) == "passphrase"


async def test_packages_beside_a_project_are_found_by_its_undo(directory: Path) -> None:
    """It runs elsewhere."""
    mine = directory / "mine"
    mine.mkdir()
    (mine / "PulumiPlugin.yaml").write_text("runtime: python\n")
    kept = 'resources:\n  kept: {type: "pulumi:index:Stash", properties: {input: 1}}\n'
    saga = Saga("j")
    saga.add_stack("app", work_dir=project(directory, f"packages:\n  mine: ../mine\n{kept}"))
    saga.add_step(name="later", action=refuses, compensation="none")
    result = await ended(up(saga, settings=Settings()))
    assert result.state is SagaState.COMPENSATED, result.leftovers


def refuses() -> None:
    """The step after."""
    raise ValueError("no")


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("../mine", "{}/mine"),
        ("./sub", "{}/net/sub"),
        ("sub", "{}/net/sub"),
        ({"source": "../mine", "parameters": ["x"]}, {"source": "{}/mine", "parameters": ["x"]}),
        ("aws@7.0.0", "aws@7.0.0"),
        ("random", "random"),
        ("github.com/acme/x@1.0.0", "github.com/acme/x@1.0.0"),
        ("https://example.com/x.git", "https://example.com/x.git"),
        ({"source": "terraform-provider", "version": "1"}, None),
    ],
)
def test_only_local_packages_are_made_absolute(
    directory: Path, said: object, wanted: object
) -> None:
    folder = project(directory)
    (folder / "sub").mkdir()
    found = yaml.safe_load((folder / "Pulumi.yaml").read_text()) | {"packages": {"p": said}}
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump(found))
    ref = StackRef(project="net", stack="dev", work_dir=str(folder))
    write_project(directory / "own", ref, str(directory))
    packages = yaml.safe_load((directory / "own" / "Pulumi.yaml").read_text())["packages"]
    expected = json.loads(json.dumps(wanted if wanted is not None else said))
    assert packages["p"] == json.loads(json.dumps(expected).replace("{}", str(directory)))


def test_a_cli_that_keeps_a_journal_is_refused(tmp_path: Path) -> None:
    """After a crash its state is from before the update."""
    cli = tmp_path / "pulumi"
    cli.write_text("#!/bin/sh\necho v3.259.0+journaling.1\n")
    cli.chmod(0o755)
    with pytest.raises(ToolError, match="journal"):
        find_cli({"PATH": f"{tmp_path}:/usr/bin:/bin"})


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (
            "postgres://me:canary@db/x?sslmode=disable",
            "postgres://me:[secret]@db/x?sslmode=disable",
        ),
        ("s3://b?endpoint=http://h:1&region=r", "s3://b?endpoint=http://h:1&region=r"),
        ("s3://b?access_key=canary&region=r", "s3://b?access_key=[secret]&region=r"),
        ("azblob://c?sig=canary", "azblob://c?sig=[secret]"),
        ("https://x?endpoint=http://u:canary@h", "https://x?endpoint=http://u:[secret]@h"),
        ("file:///a/b", "file:///a/b"),
        ("unable to open postgres://me:canary@db/x", "unable to open postgres://me:[secret]@db/x"),
    ],
)
def test_credentials_in_a_url_are_masked(url: str, shown: str) -> None:
    assert without_credentials(url) == shown


async def test_a_lock_is_looked_for_before_a_create_is_called_cut_off(
    place: Place,
) -> None:
    """Somebody else is at work: their name is told, and no resolver is asked."""
    saga = Saga("demo")
    asked: list[str] = []
    saga.add_stack(
        "db",
        program=programs.one,
        project="demo",
        resolver=lambda create: asked.append(create.name),
    )
    gate = place.root / "gate"
    request = place.request(programs.waits(str(gate)), create=True)
    running = asyncio.create_task(place.engine.up(request, place.operation()))
    await until(Path(f"{gate}.begun").exists)
    result = await ended(up(saga, settings=Settings()))
    gate.touch()
    await running
    assert asked == []
    assert result.error is not None
    assert "is locked by" in result.error.message
    assert "cut off" not in result.error.message


ARRAY = """
name: net
runtime: yaml
config:
  zones:
    type: array
    items:
      type: string
outputs:
  second: ${zones[1]}
"""


async def test_a_secret_list_arrives_where_a_project_declares_an_array(
    place: Place, directory: Path
) -> None:
    """Each element is sealed by itself: one text would be no array."""
    folder = directory / "net"
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text(ARRAY)
    ref = StackRef(project="net", stack="dev", work_dir=str(folder))
    config = {"zones": Secret(["canary-north", "canary-south"])}
    result = await place.engine.up(
        place.request(ref=ref, config=config, create=True), place.operation()
    )
    assert result.failure is None, result.failure
    assert (await place.engine.reveal(ref))["second"].value == "canary-south"
    assert not any("canary" in line for line in place.commands())
    state = Path(os.environ["XDG_STATE_HOME"])
    (settings,) = state.rglob("Pulumi.dev.yaml")  # noqa: ASYNC240 - small
    assert "canary" not in settings.read_text()
