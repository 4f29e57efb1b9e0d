"""Delete hooks: the undo of a stack that has them runs its program, from its first attempt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest

from alma import Saga, SagaState
from alma.core.result import Result
from alma.runner import rollback
from alma.runner.settings import Settings
from alma.runner.start import destroy, up
from tests.pulumi import programs
from tests.runner.helpers import ended

pytestmark = pytest.mark.lives


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers import the programs by name."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))


def hooked(log: Path) -> Callable[[], Any]:
    """A thing that is drained before it goes; its program needs its config."""

    def run() -> None:
        pulumi.Config().require("size")

        def drain(args: pulumi.ResourceHookArgs) -> None:
            with log.open("a") as file:
                file.write(f"{args.name}\n")

        hook = pulumi.ResourceHook("drain", drain)
        hooks = pulumi.ResourceHookBinding(before_delete=[hook])
        programs.thing("a", pulumi.ResourceOptions(hooks=hooks))

    return run


def saga(log: Path, *, fails: bool, stop: bool = False) -> Saga:
    """The stack, and a step that may fail after it."""
    made = Saga("hooks", on_failure="stop" if stop else "compensate")
    made.add_stack("one", program=hooked(log), config={"size": 1})
    if fails:
        made.add_stack("two", program=programs.broken)
    return made


async def test_the_undo_runs_the_program(directory: Path) -> None:
    """COMPENSATED, and the hook has seen the delete."""
    log = directory / "drained"
    result = await ended(up(saga(log, fails=True), settings=Settings()))
    assert result.state is SagaState.COMPENSATED, result.leftovers
    assert log.read_text() == "a\n"


async def test_a_destroy_runs_it_as_well(directory: Path) -> None:
    """The next day, from the saga's file."""
    log = directory / "drained"
    assert (await ended(up(saga(log, fails=False)))).state is SagaState.COMPLETED
    result = await ended(destroy(saga(log, fails=False)))
    assert result.state is SagaState.COMPLETED, result.leftovers
    assert log.read_text() == "a\n"


async def test_without_the_program_it_is_said_what_is_needed(directory: Path) -> None:
    """From the journal alone: nothing is tried, so that it works with the program afterwards."""
    log = directory / "drained"
    stopped = await ended(up(saga(log, fails=True, stop=True), settings=Settings()))
    assert stopped.state is not SagaState.COMPENSATED
    result: Result = await ended(rollback("latest", settings=Settings()))
    assert result.state is SagaState.FAILED
    assert any("drain" in left.reason for left in result.leftovers)
    again = await ended(rollback("latest", saga=saga(log, fails=True, stop=True)))
    assert again.state is SagaState.COMPENSATED, again.leftovers
    assert log.read_text() == "a\n"
