"""A saga as the ADR writes it: without a name, the pairs by position, the state a string."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from alma import DefinitionError, Saga, SagaState

WEB_APP = """
import asyncio
from alma import Saga, SagaFailed

there = []

def thing(name):
    def create():
        there.append(name)
    def delete():
        there.remove(name)
    create.__name__, delete.__name__ = f"create_{name}", f"delete_{name}"
    return create, delete

create_database, delete_database = thing("database")
create_servers, delete_servers = thing("servers")

async def configure_lb():
    raise RuntimeError("no balancer")

def remove_lb_config():
    print("balancer:", "lb" in there)

async def main():
    saga = Saga()
    saga.add_step(create_database, delete_database)
    saga.add_step(create_servers, delete_servers)
    saga.add_step(configure_lb, remove_lb_config)
    print(saga.name, *(step.name for step in saga.steps))
    try:
        await saga.execute()
    except SagaFailed as failed:
        print(failed.result.state == "compensated", failed.result.state.name, there)

asyncio.run(main())
"""


def said(command: list[str], directory: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, *command], cwd=directory, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_the_scenario_of_the_adr_runs_as_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "deploy.py").write_text(WEB_APP)
    assert said(["deploy.py"], tmp_path) == [
        "deploy create_database create_servers configure_lb",
        "balancer: False",
        "True COMPENSATED []",
    ]


def test_a_package_gives_its_own_name_and_no_file_none(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__main__.py").write_text("import alma; print(alma.Saga().name)")
    assert said(["-m", "shop"], tmp_path) == ["shop"]
    assert said(["-c", "import alma; print(alma.Saga().name)"], tmp_path) == ["saga"]


def test_without_a_name_it_is_called_as_its_file() -> None:
    assert Saga().name == "test_saga"


def create() -> None: ...
def delete() -> None: ...


WAYS: dict[str, Callable[[Saga], object]] = {
    "name, action, compensation": lambda saga: saga.add_step("create", create, delete),
    "name=": lambda saga: saga.add_step(create, delete, name="create"),
    "name, action=": lambda saga: saga.add_step("create", action=create, compensation=delete),
    "action, compensation": lambda saga: saga.add_step(create, delete),
    "action, compensation=": lambda saga: saga.add_step(create, compensation=delete),
    "action=, compensation=": lambda saga: saga.add_step(action=create, compensation=delete),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_write_a_pair_is_the_same_step(way: str) -> None:
    saga = Saga("s")
    WAYS[way](saga)
    (step,) = saga.steps
    assert (step.name, step.action, step.compensation) == ("create", create, delete)  # type: ignore[attr-defined]


def test_none_by_position_says_that_there_is_nothing_to_undo() -> None:
    step = Saga("s").add_step(create, "none")
    assert (step.name, step.compensation) == ("create", "none")


@pytest.mark.parametrize(
    ("arguments", "named", "says"),
    [
        ((create, delete), {"action": create}, "the action is given twice"),
        (("a", create), {"name": "b"}, "the name is given twice"),
        ((create, delete), {"compensation": delete}, "the compensation is given twice"),
        (("a", create, delete, delete), {}, "no more"),
        (("a",), {}, "there is no action. It takes callables. A Pulumi program is add_stack"),
        (("a",), {"program": create}, "there is no action"),
        ((create, "undo"), {}, "the compensation must be callable, not 'undo'"),
        ((7,), {}, "the action must be callable, not 7"),
    ],
)
def test_what_is_given_twice_or_is_no_callable_is_refused(
    arguments: tuple[object, ...], named: dict[str, object], says: str
) -> None:
    with pytest.raises(DefinitionError, match=says):
        Saga("s").add_step(*arguments, **named)  # type: ignore[call-overload]


def test_a_state_is_its_word() -> None:
    assert [state == state.name.lower() for state in SagaState] == [True] * 6
    assert SagaState("compensated") is SagaState.COMPENSATED


def test_an_output_as_config_is_refused_with_the_way_out() -> None:
    saga = Saga("shop")
    db = saga.add_stack("db", lambda: None)
    with pytest.raises(DefinitionError, match="Output cannot be config") as refused:
        saga.add_stack("web", lambda: None, config={"ids": db.output("ids")})
    assert "inputs={...}" in refused.value.hint
