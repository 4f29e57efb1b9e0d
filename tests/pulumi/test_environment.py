"""Flags by environment change nothing that an operation or its undo does."""

from __future__ import annotations

from pathlib import Path

import pulumi
import pytest

from alma import Saga, SagaState
from alma.runner.doctor import examine
from alma.runner.settings import Settings
from alma.runner.start import up
from alma.steps.terraform.cli import Terraform
from alma.system.environment import (
    ANSIBLE,
    PULUMI,
    PYTHON,
    TERRAFORM,
    flags_in,
    in_utf8,
    without_flags,
)
from tests.pulumi import programs
from tests.pulumi.conftest import Place
from tests.runner.helpers import ended

HOSTILE = {
    "PULUMI_OPTION_RUN_PROGRAM": "1",
    "PULUMI_OPTION_PREVIEW_ONLY": "true",
    "PULUMI_OPTION_PARALLEL": "1",
    "PULUMI_OPTION_TARGET": "urn:pulumi:dev::p::t::n",
    "PULUMI_RUN_PROGRAM": "true",
    "PULUMI_CONTINUE_ON_ERROR": "true",
    "PULUMI_PARALLEL": "0",
    "PULUMI_STACK": "another",
    "PULUMI_CONFIG": '{"demo:x": "wrong"}',
    "PULUMI_SKIP_CHECKPOINTS": "true",
    "PULUMI_K8S_DELETE_UNREACHABLE": "true",
    "PULUMI_K8S_SKIP_UPDATE_UNREACHABLE": "true",
    "PYTHONINSPECT": "1",
    "PYTHONWARNINGS": "error",
}
PASSES = (
    *("PATH", "HOME", "AWS_SECRET_ACCESS_KEY", "HTTPS_PROXY", "PULUMI_HOME", "PULUMI_BACKEND_URL"),
    *("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE", "PULUMI_ACCESS_TOKEN"),
    *("PYTHONPATH", "PYTHONHOME", "TF_VAR_size", "TF_CLI_CONFIG_FILE", "ANSIBLE_CONFIG"),
)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_flag_by_environment_is_not_passed(name: str) -> None:
    assert flags_in({name: "1", "PATH": "x"}, PULUMI, PYTHON) == [name]


@pytest.mark.parametrize(
    ("family", "name"),
    [
        *((TERRAFORM, name) for name in ("TF_CLI_ARGS", "TF_CLI_ARGS_destroy", "TF_WORKSPACE")),
        (TERRAFORM, "TF_DATA_DIR"),
        *((ANSIBLE, name) for name in ("ANSIBLE_STDOUT_CALLBACK", "ANSIBLE_CALLBACKS_ENABLED")),
        *((ANSIBLE, name) for name in ("ANSIBLE_RUN_TAGS", "ANSIBLE_SKIP_TAGS")),
    ],
)
def test_other_tools_have_such_families_too(family: str, name: str) -> None:
    assert without_flags({name: "1", "PATH": "x"}, family) == {"PATH": "x"}


def test_terraform_is_given_none_of_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Which state it is, the step alone says: an undo must find what `apply` has written."""
    monkeypatch.setenv("TF_CLI_ARGS_destroy", "-target=nothing")
    monkeypatch.setenv("TF_WORKSPACE", "other")
    plain = Terraform(work_dir=tmp_path).environment()
    assert not {"TF_CLI_ARGS_destroy", "TF_WORKSPACE"} & plain.keys()
    assert Terraform(work_dir=tmp_path, workspace="blue").environment()["TF_WORKSPACE"] == "blue"


@pytest.mark.parametrize("name", PASSES)
def test_credentials_places_and_inputs_pass(name: str) -> None:
    assert without_flags({name: "1"}, PULUMI, PYTHON, TERRAFORM, ANSIBLE) == {name: "1"}


@pytest.mark.parametrize(
    ("given", "chosen"),
    [
        ({"LC_ALL": "C", "LANG": "en_US.UTF-8"}, "C.UTF-8"),
        ({"LANG": "POSIX"}, "C.UTF-8"),
        ({}, "C.UTF-8"),
        ({"LC_ALL": "de_DE.utf8"}, "de_DE.utf8"),
        ({"LANG": "en_US.UTF-8"}, None),
    ],
)
def test_texts_of_ansible_are_utf8(given: dict[str, str], chosen: str | None) -> None:
    assert in_utf8(given).get("LC_ALL") == chosen


def logs(directory: Path) -> list[str]:
    """What each operation's CLI said."""
    return [path.read_text() for path in directory.rglob("pulumi.log")]


def configured() -> None:
    """A resource, and what the program was told."""
    programs.one()
    pulumi.export("x", pulumi.Config().require("x"))


async def test_up_and_undo_are_as_without_them(
    place: Place, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All at once: what was made is undone, the log names each, the program has its own config."""
    for name, value in HOSTILE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NOTES", str(directory / "notes"))
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    saga = Saga("flags")
    one = saga.add_stack("one", program=configured, config={"x": "right"})
    saga.add_stack("two", program=programs.broken, inputs={"id": one.output("id")})
    result = await ended(up(saga, settings=Settings()))
    assert result.state is SagaState.COMPENSATED, result.leftovers
    assert result.status.steps["one"].outputs["x"] == "right"
    # A preview would be "undone" as well: there was something to undo.
    assert (directory / "notes").read_text().split() == [*["created"] * 2, *["deleted"] * 2]
    assert all("PULUMI_OPTION_RUN_PROGRAM, " in text for text in logs(directory))
    assert not list((directory / ".alma/state/.pulumi/stacks").rglob("*.json"))
    assert not place.live_locks()


async def test_doctor_tells_what_is_dropped(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, with the way out."""
    monkeypatch.setenv("PULUMI_OPTION_PREVIEW_ONLY", "true")
    checks = await examine(directory / ".alma" / "journal.db", cwd=directory)
    (found,) = [check for check in checks if check.name == "environment"]
    assert found.level == "warn"
    assert "PULUMI_OPTION_PREVIEW_ONLY" in found.message
    assert found.mend
