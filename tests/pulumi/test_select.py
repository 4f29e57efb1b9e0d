"""A step's stack as the Automation API knows it, in the hands of whoever asks for it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pulumi
import pytest
from pulumi import automation

import alma
from alma import Saga
from tests.pulumi.conftest import environment, python

pytestmark = [pytest.mark.lives, pytest.mark.usefixtures("directory")]


def _program() -> None:
    config = pulumi.Config()
    pulumi.export("size", config.require_int("size"))
    pulumi.export("word", pulumi.Output.secret("CANARY"))


def _saga() -> Saga:
    saga = Saga("shop", stack="dev")
    saga.add_stack("database", program=_program, config={"size": 3})
    saga.add_step("note", action=lambda: None, compensation="none")
    return saga


async def test_the_stack_of_a_result_tells_what_the_automation_api_tells() -> None:
    result = await _saga().execute()
    stack = result.stack("database")
    assert isinstance(stack, automation.Stack)
    outputs = stack.outputs()
    assert (outputs["size"].value, outputs["word"].value) == (3, "CANARY")
    assert outputs["word"].secret
    assert [summary.result for summary in stack.history()] == ["succeeded"]
    exported = stack.export_stack().deployment
    assert exported["resources"][0]["type"] == "pulumi:pulumi:Stack"
    assert stack.get_config("size").value == "3"
    assert stack.workspace.project_settings().name == "shop-database"


async def test_a_selected_stack_goes_up_and_down_by_itself() -> None:
    """With the program, the settings and the passphrase of the run."""
    saga = _saga()
    await saga.execute()
    stack = alma.select(saga, "database")
    stack.set_config("size", automation.ConfigValue("4"))
    assert stack.up().outputs["size"].value == 4
    assert stack.preview().change_summary == {"same": 1}
    stack.destroy()
    assert (await saga.execute()).outputs["database"]["size"] == 3


async def test_a_project_of_the_users_own_is_worked_on_where_it_is(tmp_path: Path) -> None:
    if shutil.which("pulumi-language-yaml") is None:
        pytest.skip("pulumi-language-yaml is not on PATH: no project can run here")
    project = tmp_path / "project"
    project.mkdir()
    (project / "Pulumi.yaml").write_text("name: own\nruntime: yaml\noutputs:\n  a: b\n")
    saga = Saga("shop", stack="dev")
    saga.add_stack("own", work_dir=project)
    result = await saga.execute()
    stack = result.stack("own")
    assert stack.workspace.work_dir == str(project)
    assert [path.name for path in project.iterdir()] == ["Pulumi.yaml"]
    assert stack.up().outputs["a"].value == "b"


async def test_what_has_no_stack_is_named() -> None:
    saga = _saga()
    with pytest.raises(automation.StackNotFoundError):
        alma.select(saga, "database")
    result = await saga.execute()
    with pytest.raises(alma.DefinitionError, match='"note" is no stack, but of the kind action'):
        result.stack("note")
    with pytest.raises(alma.DefinitionError, match='no step "cache"'):
        alma.select(saga, "cache")


def test_pulumi_is_loaded_by_whoever_asks_for_a_stack_alone() -> None:
    script = "import alma, sys; alma.Saga; assert 'pulumi' not in sys.modules; alma.select"
    subprocess.run(
        python("-c", f"{script}; assert 'pulumi' in sys.modules"), env=environment(), check=True
    )
