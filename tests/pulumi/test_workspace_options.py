"""`LocalWorkspaceOptions` of a step: what of them reaches the stack, and what does not fit."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from pulumi import automation
from pulumi.automation import LocalWorkspaceOptions, ProjectSettings, StackSettings

import alma
from alma import DefinitionError, Saga, SagaFailed
from tests.pulumi import programs


def _told() -> None:
    config = pulumi.Config()
    pulumi.export("greeting", os.environ.get("GREETING"))
    pulumi.export("home", os.environ.get("PULUMI_HOME"))
    pulumi.export("size", config.require_int("size"))
    pulumi.export("project", pulumi.get_project())
    pulumi.export("directory", Path.cwd().name)


def _options(**given: Any) -> LocalWorkspaceOptions:
    return LocalWorkspaceOptions(
        **{
            "env_vars": {"GREETING": "good day"},
            "stack_settings": {
                "dev": StackSettings(config={"named:size": "3"}),
                "other": StackSettings(config={"named:size": "9"}),
            },
            "project_settings": ProjectSettings("named", runtime="python", description="A shop."),
            **given,
        }
    )


def _saga(opts: LocalWorkspaceOptions, program: Any = _told, **options: Any) -> Saga:
    saga = Saga("shop", stack="dev")
    saga.add_stack("database", program=program, opts=opts, **options)
    return saga


def _fail() -> None:
    raise RuntimeError("no")


async def test_all_that_fits_reaches_the_stack(directory: Path, tmp_path: Path) -> None:
    """And the object is as it was: it may be given to several steps."""
    home = os.environ.get("PULUMI_HOME", "")
    opts = _options(pulumi_home=home or None, secrets_provider="passphrase")
    before = dict(vars(opts)), opts.project_settings.to_dict()
    result = await _saga(opts).execute()
    assert result.outputs["database"] == {
        "greeting": "good day",
        "home": home or None,
        "size": 3,
        "project": "named",
        "directory": directory.name,
    }
    assert (dict(vars(opts)), opts.project_settings.to_dict()) == before
    commands = (tmp_path / "argv").read_text().splitlines()
    (made,) = (line for line in commands if "stack init" in line)
    assert "--secrets-provider passphrase" in made
    stack = alma.select(_saga(opts), "database")
    assert stack.workspace.project_settings().description == "A shop."
    assert stack.preview().change_summary == {"same": 1}


async def test_config_of_the_step_wins_over_the_settings(directory: Path) -> None:
    assert directory
    result = await _saga(_options(), config={"size": 4}).execute()
    assert result.outputs["database"]["size"] == 4


async def test_the_environment_reaches_providers_and_the_undo(directory: Path) -> None:
    """What takes the stack down again acts as what brought it up did."""
    saga = _saga(_options(env_vars={"NOTES": str(directory / "notes")}), programs.one)
    saga.add_step("fail", action=_fail, compensation="none", after=["database"])
    with pytest.raises(SagaFailed) as ended:
        await saga.execute()
    assert ended.value.exit_code == 4
    told = (directory / "notes").read_text().split()
    assert told == ["created", "deleted"]


async def test_an_undo_without_these_variables_is_refused(directory: Path) -> None:
    """With other credentials a provider finds nothing, which would pass for clean."""
    canary = "a-token-of-a-session"
    saga = _saga(_options(env_vars={"TOKEN": canary}), programs.one)
    saga.on_failure = "stop"
    saga.add_step("fail", action=_fail, compensation="none", after=["database"])
    with pytest.raises(SagaFailed) as ended:
        await saga.execute()
    run = ended.value.result.run_id
    with pytest.raises(DefinitionError, match="TOKEN"):
        await alma.rollback(run)
    journal = "".join(
        path.read_bytes().decode("latin-1") for path in (directory / ".alma").glob("journal.db*")
    )
    assert "TOKEN" in journal
    assert canary not in journal
    with pytest.raises(SagaFailed) as ended:
        await alma.rollback(run, saga=saga)
    assert ended.value.exit_code == 4


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ({"opts": {"env_vars": {}}}, {}, "must be a pulumi.automation.LocalWorkspaceOptions"),
        ({"opts": automation.RemoteWorkspaceOptions()}, {}, "must be a pulumi.automation"),
        ({}, {"work_dir": "."}, "opts.work_dir does not fit an inline program"),
        ({}, {"program": lambda: None}, "program is given twice"),
        ({}, {"pulumi_command": object()}, "one CLI serves a whole run"),
        ({}, {"env_vars": {"PULUMI_BACKEND_URL": "file://x"}}, "one environment and passphrase"),
        ({}, {"env_vars": {"A": 1}}, "must be a text"),
        ({"project": "other"}, {}, "the project is 'other', and in opts 'named'"),
        (
            {"program": None, "work_dir": "own"},
            {},
            "project_settings do not fit a project of your own",
        ),
        (
            {"program": None, "work_dir": "own"},
            {"work_dir": "else", "project_settings": None},
            "work_dir is given twice",
        ),
    ],
    ids=[
        *("a dict", "remote", "work_dir", "program", "command", "backend", "number"),
        *("project", "own project", "two directories"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(
    given: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    own = Path("own")
    own.mkdir(exist_ok=True)
    (own / "Pulumi.yaml").write_text(yaml.safe_dump({"name": "named", "runtime": "yaml"}))
    saga = Saga("shop", stack="dev")
    arguments = {"program": _told, "opts": _options(**options), **given}
    with pytest.raises(DefinitionError, match=message) as refused:
        saga.add_stack("database", **arguments)
    assert 'Step "database"' in str(refused.value)


def test_program_and_directory_may_stand_in_the_options() -> None:
    own = Path("own")
    own.mkdir()
    (own / "Pulumi.yaml").write_text(yaml.safe_dump({"name": "named", "runtime": "yaml"}))
    saga = Saga("shop", stack="dev")
    step = saga.add_stack("a", opts=_options(program=_told, project_settings=None))
    assert step.program is _told
    step = saga.add_stack("b", opts=LocalWorkspaceOptions(work_dir="own"))
    assert (step.work_dir, step.project) == (own.absolute(), "named")
