"""How sagas of a test are taken down. Callables alone: no Pulumi is needed for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from alma import Saga, SagaFailed
from alma.testing import Deployed


@pytest.fixture
def deployed(tmp_path: Path) -> Deployed:
    return Deployed(tmp_path)


def saga(name: str, undo: Callable[[], object], **options: bool) -> Saga:
    made = Saga(name)
    made.add_step(name, action=dict, compensation=undo, **options)
    return made


def test_one_that_does_not_go_is_named_and_the_others_go(deployed: Deployed) -> None:
    undone: list[str] = []

    def stuck() -> None:
        raise RuntimeError("it is in use")

    deployed(saga("first", lambda: undone.append("first")))
    deployed(saga("second", stuck))
    deployed(saga("third", lambda: undone.append("third")))
    (line,) = deployed.take_down()
    assert line.startswith("second/dev: step second: ")
    assert "it is in use" in line
    assert undone == ["third", "first"]


async def test_a_run_that_was_cut_off_is_undone_and_one_past_its_pivot_destroyed(
    deployed: Deployed,
) -> None:
    """Only the first can be rolled back; the other one is given up before its destroy."""
    undone: list[str] = []
    begun = asyncio.Event()

    async def wait() -> None:
        begun.set()
        await asyncio.sleep(600)

    for name, pivot in (("plain", False), ("pivot", True)):
        made = saga(name, lambda name=name: undone.append(name), pivot=pivot)  # type: ignore[misc]
        made.add_step(action=wait, compensation="none")
        run = asyncio.create_task(deployed.execute(made))
        await begun.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        begun.clear()
    assert deployed.take_down() == []
    assert undone == ["pivot", "plain"]


def test_what_a_failure_has_undone_is_not_undone_again(deployed: Deployed) -> None:
    undone: list[str] = []

    def fail() -> None:
        raise RuntimeError("as it should")

    failing = saga("failing", lambda: undone.append("failing"))
    failing.add_step(action=fail, compensation="none")
    with pytest.raises(SagaFailed, match="as it should"):
        deployed(failing)
    assert undone == ["failing"]
    assert deployed.take_down() == []
    assert undone == ["failing"]
